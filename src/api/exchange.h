/*
 * api, inside: an exchange, from its request to its reply, and what a method is. Everything of an
 * exchange lives in its request's arena. The service's threads have the exchange between a
 * method's `start` that gave true and `finished`, and the connection's thread has it otherwise.
 */
#ifndef ZANDAKA_API_EXCHANGE_H
#define ZANDAKA_API_EXCHANGE_H

#include "api/api.h"
#include "api/codec.h"
#include "api/connect.h"
#include "api/error_details.h"
#include "api/metrics.h"
#include "api/reflection.h"

#include <stdatomic.h>

struct api {
    struct service *service;
    struct store *store;
    const struct ledger_kinds *kinds;
    const struct base_clock *clock;
    struct api_reflection *reflection;
    struct access *access; /* NULL: nobody is asked who calls */
    atomic_bool draining;
    void (*write_metrics)(void *context, struct base_writer *out);
    void *metrics_context;
    struct api_counts counts;
    /* The kinds' codes ended by NUL, as messages want them. */
    char kind_codes[BASE_KINDS_MAX][BASE_KIND_MAX_BYTES + 1];
};

/* What a method answers: one of `record` and `message`. */
struct api_answer {
    struct base_bytes record; /* an encoded zandaka.v1.Transaction */
    const ProtobufCMessage *message;
    bool replayed;
};

struct api_method {
    const char *name;
    const ProtobufCMessageDescriptor *request;
    enum api_codec_unknown unknown;
    bool is_everybodys; /* nobody is asked who calls it */
    /* Checks the message and hands it to the service. True: the service has it. False: the answer
     * can be made now; exchange->error says what is wrong, if anything is. */
    bool (*start)(struct api_exchange *exchange, const ProtobufCMessage *message);
    /* A read's visit to the store, on one of the service's reading threads. NULL for a write. */
    enum store_fault (*read)(struct api_exchange *exchange, struct store *store);
    /* Makes the answer of what was found, or sets exchange->error. */
    void (*answer)(struct api_exchange *exchange, struct api_answer *ret_answer);
};

/* Whether the method has no side effects, as its idempotency level in the proto says. */
static inline bool api_method_reads(const struct api_method *method)
{
    return method->unknown == API_CODEC_PASS_UNKNOWN;
}

/* An answer that is no method's: health, metrics, and what HTTP itself refuses. */
struct api_page {
    int http_status; /* 0: there is none */
    struct base_text text;
    struct base_text allow;        /* the methods that 405 names; empty: none */
    struct base_text content_type; /* empty: plain text */
};

struct api_exchange {
    struct api *api;
    struct wire_request *request;
    struct base_arena *arena;    /* the request's */
    uint64_t caller;             /* for fairness */
    const struct api_peer *peer; /* while the exchange is being started */
    struct access_known *known;  /* NULL: not recognized, or nobody is asked */
    void (*finished)(void *context);
    void *context;
    int64_t started_mono_ns;
    int64_t deadline_mono_ns;
    bool counted;  /* it is a call: pages are not */
    bool answered; /* somebody was there to be */
    size_t held_bytes;

    enum api_form form;
    struct base_bytes message;       /* the request's, in that form */
    const struct api_method *method; /* NULL: the request reached none */
    struct api_page page;
    struct api_error error;

    /* A write. */
    struct service_call call;
    struct service_result *results; /* call.n_commands of them */
    /* A read. */
    struct service_read read;
    enum store_fault fault;
    void *found; /* the method's own */
};

/* When a request that may take that long has to be answered. */
int64_t api_deadline_of(const struct api *api, int64_t timeout_ns);
/* An error as gRPC has it; what it points to is in the arena. */
void api_error_reply_grpc(struct base_arena *arena, const struct api_error *error,
                          struct wire_reply *ret_reply);

/* The method with that path, or NULL. */
const struct api_method *api_method_at(struct base_text path);
/* The methods by number, 0 to api_method_count() - 1, with the full name of their service. */
size_t api_method_count(void);
const struct api_method *api_method_number(size_t index, struct base_text *ret_service);
size_t api_method_index(const struct api_method *method);

/* Hand the exchange to the service: true, or false with exchange->error. */
bool api_exchange_write(struct api_exchange *exchange, size_t n_commands,
                        const struct ledger_command *commands) BASE_MUST_USE;
/* A read is held to be as large as its answer may become, `answer_bytes`, from the beginning: many
 * small requests for large answers must not be taken before the budget has room for these. */
bool api_exchange_read(struct api_exchange *exchange, size_t answer_bytes) BASE_MUST_USE;

/* Refuses the request for its violations, which are copied. Always false. */
bool api_exchange_refuse(struct api_exchange *exchange, const struct api_violations *violations);
/* The same for one. */
bool api_exchange_refuse_field(struct api_exchange *exchange, struct base_text field,
                               struct base_text description);

/* A record as the message that it is. NULL: it cannot be read, exchange->error says so. */
const ProtobufCMessage *api_record_message(struct api_exchange *exchange, struct base_bytes record);

/* --- writes.c --- */

/* The commands that the messages ask for; what is wrong with them is added to the violations. What
 * they point to is in the violations' arena, or the message's. */
void api_command_of_add(struct api_violations *violations, const ProtobufCMessage *message,
                        struct ledger_command *ret_command);
void api_command_of_consume(struct api_violations *violations, const ProtobufCMessage *message,
                            struct ledger_command *ret_command);
void api_command_of_cancel(struct api_violations *violations, const ProtobufCMessage *message,
                           struct ledger_command *ret_command);

bool api_add_start(struct api_exchange *exchange, const ProtobufCMessage *message);
bool api_consume_start(struct api_exchange *exchange, const ProtobufCMessage *message);
bool api_cancel_start(struct api_exchange *exchange, const ProtobufCMessage *message);
void api_write_answer(struct api_exchange *exchange, struct api_answer *ret_answer);

/* --- submit.c --- */

bool api_submit_start(struct api_exchange *exchange, const ProtobufCMessage *message);
void api_submit_answer(struct api_exchange *exchange, struct api_answer *ret_answer);

/* --- balances.c --- */

bool api_get_balance_start(struct api_exchange *exchange, const ProtobufCMessage *message);
void api_get_balance_answer(struct api_exchange *exchange, struct api_answer *ret_answer);
bool api_batch_get_balances_start(struct api_exchange *exchange, const ProtobufCMessage *message);
void api_batch_get_balances_answer(struct api_exchange *exchange, struct api_answer *ret_answer);
enum store_fault api_balances_read(struct api_exchange *exchange, struct store *store);

/* --- history.c --- */

bool api_get_transaction_start(struct api_exchange *exchange, const ProtobufCMessage *message);
enum store_fault api_get_transaction_read(struct api_exchange *exchange, struct store *store);
void api_get_transaction_answer(struct api_exchange *exchange, struct api_answer *ret_answer);
bool api_list_entries_start(struct api_exchange *exchange, const ProtobufCMessage *message);
enum store_fault api_list_entries_read(struct api_exchange *exchange, struct store *store);
void api_list_entries_answer(struct api_exchange *exchange, struct api_answer *ret_answer);

/* --- health.c --- */

bool api_health_check_start(struct api_exchange *exchange, const ProtobufCMessage *message);
void api_health_check_answer(struct api_exchange *exchange, struct api_answer *ret_answer);

/* --- permission.c --- */

/* Recognizes who calls, and takes the call out of its allowance. These give false with
 * exchange->error: UNAUTHENTICATED, RATE_LIMITED, PERMISSION_DENIED; and the refusal is counted. */
bool api_permission_begin(struct api_exchange *exchange) BASE_MUST_USE;
/* Whether it would recognize who calls. */
bool api_permission_knows(struct api *api, const struct wire_request *request,
                          const struct api_peer *peer) BASE_MUST_USE;
/* The same for /metrics, and whether the caller may see that. */
bool api_permission_metrics(struct api_exchange *exchange) BASE_MUST_USE;
/* Whether the caller may call the exchange's method. */
bool api_permission_method(struct api_exchange *exchange) BASE_MUST_USE;
/* Both for a streamed call, in stream->error and stream->known. */
bool api_permission_stream(struct api_stream *stream, const struct api_peer *peer) BASE_MUST_USE;
/* Whether it may have that done, whichever method brought it; and puts its name into the command.
 */
bool api_permission_command(struct api_exchange *exchange,
                            struct ledger_command *command) BASE_MUST_USE;
/* Whether it may ask for that. */
bool api_permission_id(struct api_exchange *exchange,
                       struct base_text transaction_id) BASE_MUST_USE;
bool api_permission_kind(struct api_exchange *exchange, struct base_text kind) BASE_MUST_USE;
/* Whether an answer may show it that. */
bool api_permission_shows_id(const struct api_exchange *exchange, struct base_text transaction_id);
bool api_permission_shows_kind(const struct api_exchange *exchange, struct base_text kind);

/* --- pages.c --- */

/* Answers what is no method's: the health pages, 404, 405 and 415. True: answered, in
 * exchange->page, with exchange->error where it is a refusal. */
bool api_page_for(struct api_exchange *exchange);

#endif
