/*
 * A server without sockets, for the tests of methods and errors: the reference store behind one
 * that fails on demand, a service that is stepped by hand, and a clock that stands still unless the
 * service waits. Requests are written as JSON and sent in either form.
 */
#ifndef ZANDAKA_TESTS_API_SERVER_H
#define ZANDAKA_TESTS_API_SERVER_H

#include "api/api.h"
#include "store/faulty/faulty.h"

#define SERVER_NOW_US INT64_C(1764028800123456) /* 2025-11-25T00:00:00.123456Z */

struct server {
    struct api_peer peer;    /* what requests come on; zeros: nobody in particular */
    struct base_arena arena; /* what answers point to, until server_close */
    struct ledger_kinds kinds;
    struct base_clock clock;
    unsigned n_readers;
    int64_t now_us;
    int64_t now_ns;
    enum store_faulty_event on_load; /* what the store does to every such call */
    enum store_faulty_event on_commit;
    enum store_faulty_event on_read;
    enum store_faulty_event after_commit; /* what becomes of loads once a commit was tried */
    struct store *store;
    struct service *service;
    struct api *api;
};

/* Kinds points (at most 1000 an account, 500 a transaction), money, and old, which is withdrawn if
 * `withdrawn`. `n_readers` 0: stepped by hand. */
void server_open(struct server *server, unsigned n_readers);
/* The same store, configured with `old` withdrawn. */
void server_withdraw(struct server *server);
void server_close(struct server *server);

/* A request to be sent, with what is usual; the tests change what they are about. */
struct wire_request *server_request(struct server *server, enum wire_form form, const char *method,
                                    struct base_bytes body);

struct answer {
    enum wire_form form;
    struct wire_reply reply; /* copied into the server's arena */
    size_t held_bytes;       /* what the exchange was held to be when it had begun */
};

/* Sends, steps until it is answered, and takes the answer. */
struct answer server_send(struct server *server, struct wire_request *request);
/* The method with a request written as JSON; in gRPC encoded, which the codec must take. */
struct answer server_call(struct server *server, enum wire_form form, const char *method,
                          const char *json);

/* The answer in one form for both: the message as JSON; or for an error
 *   REASON code applied retry [kind=…] [fields=…] [violations=…,…] [retry_info] : message
 * having checked that the answer agrees with itself in all its parts. */
const char *answer_text(struct server *server, const char *method, const struct answer *answer);
/* Whether the answer says that it is a replay. */
bool answer_replayed(const struct answer *answer);

#endif
