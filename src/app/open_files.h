/*
 * The process's open files: how many connections they leave room for. A store that cannot open a
 * file in the middle of its work stops the process, so connections must never take the last ones.
 */
#ifndef ZANDAKA_APP_OPEN_FILES_H
#define ZANDAKA_APP_OPEN_FILES_H

#include "base/base.h"

/* Raises the process's limit of open files as far as it needs and may, and gives the connections
 * that it has room for, at most `wanted`. False: there is no room for a server at all;
 * *ret_message says what to do, in the arena. */
bool app_open_files_allow(unsigned wanted, struct base_arena *arena, unsigned *ret_connections,
                          struct base_text *ret_message) BASE_MUST_USE;

#endif
