/*
 * Protobuf's wire format written by hand, for records that the encoder would not make:
 *
 *   1:'t1' 2:1 5:{1:'alice' 3:-100} 7:{}
 *
 * A field is its number, a colon, and a text in quotes (where % stands for a NUL byte and ^ for a
 * byte that is never in UTF-8), a number (a varint), or a message in braces.
 */
#ifndef ZANDAKA_TESTS_RECORD_WIRE_TEXT_H
#define ZANDAKA_TESTS_RECORD_WIRE_TEXT_H

#include "base/base.h"

struct base_bytes wire_text_bytes(struct base_arena *arena, const char *text);

#endif
