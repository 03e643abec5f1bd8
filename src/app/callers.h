/*
 * The callers' file: who may call the server, and what each may do (docs/operations.md). Read at
 * the start and again on SIGHUP, always whole.
 */
#ifndef ZANDAKA_APP_CALLERS_H
#define ZANDAKA_APP_CALLERS_H

#include "access/access.h"
#include "ledger/ledger.h"

/* What access_open and access_replace want. */
struct app_callers {
    size_t n_callers; /* 1 to BASE_CALLERS_MAX */
    struct access_caller *callers;
};

/* Reads and checks the file; what it gives is in the arena. `kinds`: those that there are. False:
 * *ret_message says what is wrong, with file and line, in the arena. */
bool app_callers_load(struct base_arena *arena, const char *path, const struct ledger_kinds *kinds,
                      struct app_callers *ret_callers, struct base_text *ret_message) BASE_MUST_USE;

#endif
