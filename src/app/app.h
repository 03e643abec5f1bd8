/*
 * app: the program. `zandaka` with its verbs: configuration, wiring, signals, the client verbs,
 * import, verify. Only this folder names a backend.
 *
 *   main.c         the table of verbs
 *   config.c       flags over environment over file over defaults
 *   callers.c      the callers' file
 *   ini_file.c     what both files have in common
 *   serve_verb.c   the verbs serve and version
 *   serve.c        opens store, service, api and net, and connects them; signals
 *   metrics.c      what /metrics shows beside api's own counts
 *   open_files.c   how many connections the limit of open files leaves room for
 *   last_words.c   what is said when the process is ended from within
 *   systemd.c      what systemd is told, and the watchdog
 *   request_log.c  what is logged of a request, and its id
 *   session.c      a connection of the server: net's bytes, wire's requests, api's exchanges
 *   streams.c      its streamed calls
 *   backend.c      a store URL becomes a store
 *   client.c       one connection to a server, for the client verbs
 *   client_verbs.c add, consume, cancel, balance, history, transaction
 *   audit.c        what a store keeps beside its records
 *   answers.c      what they print: answers, failures, and the exit status of each
 *   options.c      the flags of a verb, and its --help
 *   token.c        the verb token
 *   import*.c      a CSV file becomes transactions
 *   verify*.c      the proof over a whole store
 *   copy*.c        a store becomes another backend's
 *   schema.c       the verb schema: the tables of a database
 *   bench*.c       a load beside the machine's own limits
 */
#ifndef ZANDAKA_APP_H
#define ZANDAKA_APP_H

#include "app/callers.h"
#include "base/base.h"
#include "ledger/ledger.h"
#include "net/net.h"
#include "store/store.h"
#include "wire/wire.h"

#include <stdio.h>

/* Exit statuses (docs/cli.md). */
enum app_exit {
    APP_EXIT_DONE = 0,      /* done, also a replay */
    APP_EXIT_COULD_NOT = 1, /* port taken, directory in use, disk, violations */
    APP_EXIT_USAGE = 2,     /* usage, configuration or unreadable input */
    APP_EXIT_REFUSED = 3,   /* refused, and pointless to repeat as it is */
    APP_EXIT_AGAIN = 4      /* try the same again */
};

#define APP_DEFAULT_LISTEN "127.0.0.1:8630"
#define APP_DEFAULT_STORE "rocksdb:zandaka-data"

/* What a server is told. Texts live in the arena that it was loaded with, ended by NUL. */
struct app_config {
    struct base_text listen;
    struct base_text store_url;
    struct base_text address_file; /* empty: none */
    struct net_tls_files tls;      /* certificate empty: plaintext */
    int64_t lame_duck_ms;
    int64_t slow_ms; /* requests that take longer are logged; 0: none are */
    enum base_log_form log_form;
    enum base_log_level log_level;
    struct ledger_kinds kinds;
    struct base_text callers_file; /* empty: nobody is asked who calls */
    struct app_callers callers;    /* what was in it */
};

/* Where each setting may come from besides the file; NULL: not given. */
struct app_config_flags {
    const char *config_file;
    const char *listen;
    const char *store_url;
    const char *address_file;
};

/* Flags over environment (ZANDAKA_CONFIG, ZANDAKA_LISTEN, ZANDAKA_STORE) over file over defaults;
 * all checked, so that what is given can be served, as far as that can be known without doing it.
 * False: *ret_message says what is wrong, with file and line, in the arena. */
bool app_config_load(struct base_arena *arena, const struct app_config_flags *flags,
                     struct app_config *ret_config, struct base_text *ret_message) BASE_MUST_USE;

/* Serves until SIGTERM or SIGINT; drains; gives the exit status. On SIGHUP it reads again what may
 * change while it runs: the callers' file, and the files of TLS. */
enum app_exit app_serve(const struct app_config *config);

/* Whether a URL names a store that app_store_open knows. False: *ret_message says why, in the
 * arena. */
bool app_store_check_url(struct base_text url, struct base_arena *arena,
                         struct base_text *ret_message) BASE_MUST_USE;

/* A store's URL as it may be shown and logged: without a password, in the arena. */
struct base_text app_store_shown_url(struct base_text url, struct base_arena *arena);

/* HOST:PORT of the emulator of Spanner that the environment names; empty: none. */
struct base_text app_spanner_emulator(void);

/* Opens the store of a URL. `kinds` NULL: only to read, whatever kinds it has served. NULL:
 * *ret_message says why, in the arena; *ret_exit is the status to end with. */
struct store *app_store_open(struct base_text url, const struct ledger_kinds *kinds,
                             struct base_arena *arena, struct base_text *ret_message,
                             enum app_exit *ret_exit);

/* The same for one to copy another store into: an empty one, or one whose copying was interrupted.
 * `kinds` are the other's. */
struct store *app_store_open_copy(struct base_text url, const struct ledger_kinds *kinds,
                                  struct base_arena *arena, struct base_text *ret_message,
                                  enum app_exit *ret_exit);

/* Proves the store sound: prints the counts to `out` and gives APP_EXIT_DONE, or lists every
 * violation (the first 1,000, then their count) on `err` and gives APP_EXIT_COULD_NOT. */
enum app_exit app_verify(struct store *store, FILE *out, FILE *err);

/* --- one connection to a server, for the client verbs --- */

struct app_client;

/* Where calls go, and what they carry. */
struct app_destination {
    struct net_destination network;
    struct base_text authorization; /* the header's value, `Bearer TOKEN`; empty: none */
};

/* Connects; every later wait is bounded by the destination's timeout too. `server` must outlive the
 * client. NULL: *ret_message says why, in the arena. */
struct app_client *app_client_open(const struct app_destination *server, struct base_arena *arena,
                                   struct base_text *ret_message);
/* Begins a call. `response` as in wire_client_events; grpc_status -1 when the connection broke or
 * the time was up. */
void app_client_call(struct app_client *client, struct base_text path, struct base_bytes message,
                     void (*response)(void *user, const struct wire_response *response),
                     void *user);
/* Sends and receives until no more than `open_calls` calls are without an answer. */
void app_client_wait(struct app_client *client, size_t open_calls);
void app_client_close(struct app_client *client);

/* --- verbs: argv[0] is the verb --- */

int app_verb_serve(int argc, char **argv);
int app_verb_add(int argc, char **argv);
int app_verb_consume(int argc, char **argv);
int app_verb_cancel(int argc, char **argv);
int app_verb_balance(int argc, char **argv);
int app_verb_history(int argc, char **argv);
int app_verb_transaction(int argc, char **argv);
int app_verb_import(int argc, char **argv);
int app_verb_verify(int argc, char **argv);
int app_verb_copy(int argc, char **argv);
int app_verb_schema(int argc, char **argv);
int app_verb_bench(int argc, char **argv);
int app_verb_token(int argc, char **argv);
int app_verb_version(int argc, char **argv);

#endif
