/*
 * The FAKE of Cloud Spanner in tests/store/fake_spanner: one for a test program, from its first use
 * to its end, with a database for each store. It says of nobody's Spanner how it behaves; it is
 * there for what the official emulator cannot do. None of these fails: they end the program.
 */
#ifndef ZANDAKA_TESTS_STORE_FAKE_SPANNER_H
#define ZANDAKA_TESTS_STORE_FAKE_SPANNER_H

#include "store/store.h"

/* Whether it runs on this machine; says so when it does not. */
bool fake_spanner_is_present(void);

/* Before its first use: it is to speak TLS, with these files in PEM, which are not copied. */
void fake_spanner_use_tls(const char *certificate, const char *key);
/* HOST:PORT. */
struct base_text fake_spanner_address(void);

/* Sends a command (fake_spanner/__main__.py has them), and waits until it is obeyed. */
void fake_spanner_command(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The number that a `count` command gives. */
long fake_spanner_count(const char *what);

/* The URL of a new database, with the schema. In the arena. */
struct base_text fake_spanner_database(struct base_arena *arena);
/* Opens a store on it. */
struct store *fake_spanner_store(struct base_text url, const struct ledger_kinds *kinds);
/* The same, but it may be refused: NULL, and why, in the arena. */
struct store *fake_spanner_try_store(struct base_text url, const struct ledger_kinds *kinds,
                                     struct base_arena *arena, struct base_text *ret_message);

#endif
