/*
 * Messages as protobuf and as JSON, by their descriptors: one codec for every message, none by
 * hand. What protobuf-c and jansson let through is refused here (docs/api.md, "On the wire").
 */
#ifndef ZANDAKA_API_CODEC_H
#define ZANDAKA_API_CODEC_H

#include "base/base.h"

#include <google/protobuf/any.pb-c.h>
#include <protobuf-c/protobuf-c.h>

/* Why a body could not be read. Both texts are in the arena, or static. */
struct api_codec_error {
    struct base_text field;   /* the proto's own path, `amounts[1].amount`; empty: the whole body */
    struct base_text message; /* what is wrong and what is allowed */
};

/* Whether what the descriptor does not know, a field or the number of an enum, is refused (in a
 * write: it might be content, contract 3.5) or passed over (in a read). JSON refuses it always. */
enum api_codec_unknown { API_CODEC_REFUSE_UNKNOWN, API_CODEC_PASS_UNKNOWN };

/*
 * A protobuf body. Scanned against the descriptor before it is unpacked, so refused are: bytes that
 * are no such message, a number beyond its field's range, a NUL or invalid UTF-8 in a string, a
 * repeated map key, a second member of a oneof or a second value of a field that is not repeated, a
 * Timestamp outside of years 0001 to 9999, more than BASE_ELEMENTS_MAX elements, and unknown fields
 * as said. NULL: refused, *ret_error says why. The message lives in the arena and is not freed by
 * protobuf-c.
 */
ProtobufCMessage *api_codec_unpack(struct base_arena *arena,
                                   const ProtobufCMessageDescriptor *descriptor,
                                   struct base_bytes body, enum api_codec_unknown unknown,
                                   struct api_codec_error *ret_error);

/*
 * A ProtoJSON body, read strictly: both lowerCamelCase and the proto's names, but each field once;
 * integers as digits (a number, or a string, which it must be beyond 2^53): no sign '+', fraction,
 * exponent, leading zero, `-0` or space; enums by name or number; timestamps RFC 3339; null is
 * unset. Refused: an unknown field, a repeated key, invalid UTF-8, a lone surrogate, a NUL, an
 * empty body, more than BASE_ELEMENTS_MAX values, deeper than BASE_JSON_DEPTH_MAX. No request has a
 * google.protobuf.Any or Duration, so these are refused too. NULL: refused, *ret_error says why and
 * where.
 */
ProtobufCMessage *api_codec_from_json(struct base_arena *arena,
                                      const ProtobufCMessageDescriptor *descriptor,
                                      struct base_text body, struct api_codec_error *ret_error);

/* ProtoJSON on one line without spaces: lowerCamelCase, fields in the order of their numbers, int64
 * as strings, numbers printed also when 0, enums by name (a number when it is unknown), timestamps
 * with 0, 3, 6 or 9 digits of fraction; empty strings, lists and maps, false, an enum's 0, unset
 * messages and oneofs are left out; map entries in the order of their keys; google.protobuf.Any
 * with "@type", and its fields when its type is one of the error details. The message's strings are
 * UTF-8 and its Timestamps in range, as api_codec_unpack sees to. */
struct base_text api_codec_to_json(struct base_arena *arena, const ProtobufCMessage *message);

/* The message inside of an Any, in the arena, or NULL: it is none of the error details. */
ProtobufCMessage *api_codec_unpack_detail(struct base_arena *arena,
                                          const Google__Protobuf__Any *any);

/* The encoded message, in the arena. */
struct base_bytes api_codec_pack(struct base_arena *arena, const ProtobufCMessage *message);

/* An allocator for protobuf-c that takes from the arena and frees nothing. */
ProtobufCAllocator api_codec_allocator(struct base_arena *arena);

#endif
