/*
 * Google's emulator of Cloud Spanner (scripts/spanner_emulator.sh): one for a test program, from
 * its first use to its end, with a database for each store. None of these fails: they end the
 * program.
 */
#ifndef ZANDAKA_TESTS_STORE_EMULATOR_H
#define ZANDAKA_TESTS_STORE_EMULATOR_H

#include "store/spanner/spanner.h"

#include <stdbool.h>

/* Whether there is an emulator on this machine; says so when there is none. */
bool emulator_is_present(void);

#define EMULATOR_URL_MAX_BYTES 128

/* A new database's options, with the schema or without a database at all; kinds are NULL. What they
 * point to lives as long as the program. */
struct store_spanner_options emulator_database(bool with_schema);

#endif
