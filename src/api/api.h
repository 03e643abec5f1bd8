/*
 * api: the method table. A request's message becomes commands or a read; what the service made of
 * it becomes the answer, in gRPC and in JSON. Here is validation with field violations, and here
 * errors get their details. The second half is the client's: commands to messages, answers back.
 *
 * A request goes through here like this:
 *
 *   api_start    on the connection's thread: decode, check, hand to the service
 *   finished     on any thread, perhaps before api_start returns: the answer can be made
 *   api_reply    on the connection's thread: make the answer
 *   api_end      frees the exchange with its request
 *
 * and a streamed call (wire.h) wholly on the connection's thread: api_stream_start, what its client
 * sends, and api_stream_step as often as there is something to do.
 */
#ifndef ZANDAKA_API_H
#define ZANDAKA_API_H

#include "access/access.h"
#include "base/base.h"
#include "ledger/ledger.h"
#include "record/record.h"
#include "service/service.h"
#include "wire/wire.h"

struct api;
struct api_exchange;
struct api_stream;

struct api_options {
    struct service *service;
    struct store *store; /* asked for readiness only */
    const struct ledger_kinds *kinds;
    const struct base_clock *clock;
    struct access *access; /* NULL: nobody is asked who calls, and all is allowed; not owned */
    /* Writes to /metrics what api does not count itself, on a connection's thread; NULL: nothing
     * more. */
    void (*write_metrics)(void *context, struct base_writer *out);
    void *metrics_context;
};

/* Never NULL. */
struct api *api_open(const struct api_options *options);
/* From now on the server is not ready: `draining`; calls are still answered. Any thread. */
void api_set_draining(struct api *api);
/* Whether new requests are welcome; when they are not, *ret_reason says why, static. Any thread. */
bool api_ready(struct api *api, const char **ret_reason);
/* No exchange may be under way. */
void api_close(struct api *api);

/* The connection that a request came on. */
struct api_peer {
    uint64_t number;            /* no other connection's, and no more than INT64_MAX */
    size_t n_certificate_names; /* of its certificate, which was verified; see access.h */
    const struct base_text *certificate_names;
};

/* Whether the body of a request is worth reading, by what stands before it: false for a caller that
 * is not known, a path without a method, and a method that everybody may call, whose messages are
 * small. api_start then says what is wrong. */
bool api_admits(struct api *api, const struct wire_request *request, const struct api_peer *peer);
/* Takes a request and owns it. The calls of one caller wait in one line, or those of one connection
 * where nobody is asked who calls. `peer` is looked at before this returns. `finished` is called
 * exactly once. Never NULL. */
struct api_exchange *api_start(struct api *api, struct wire_request *request,
                               const struct api_peer *peer, void (*finished)(void *context),
                               void *context);
/* The answer, once finished; what it points to lives until api_end. */
void api_reply(struct api_exchange *exchange, struct wire_reply *ret_reply);
/* Bytes that the exchange holds, for the budget. */
size_t api_held_bytes(const struct api_exchange *exchange);
/* Only after `finished` was called. */
void api_end(struct api_exchange *exchange);

/* --- streamed calls: health watches and reflection --- */

/* The largest message, in bytes, that a call to that path may send, if it is streamed; 0: it is
 * not. */
size_t api_stream_message_max(struct base_text path);
/* Takes the request of a streamed call and owns it; `peer` is looked at before this returns. Who
 * may not make the call is told so by the first step. Never NULL. */
struct api_stream *api_stream_start(struct api *api, struct wire_request *request,
                                    const struct api_peer *peer);
/* A message has come. Only the first, and those that API_STREAM_NEXT asked for. */
void api_stream_message(struct api_stream *stream, struct base_bytes message);
/* There will be no more messages. */
void api_stream_half_close(struct api_stream *stream);
/* The session has ended the call with that status, by itself. */
void api_stream_refused(struct api_stream *stream, enum base_code code);
/* The server is about to end: so is the call, with SHUTTING_DOWN. */
void api_stream_stop(struct api_stream *stream);

enum api_stream_step {
    API_STREAM_WAIT,    /* nothing now */
    API_STREAM_MESSAGE, /* ret_reply->body is a message to be sent; valid until the next call */
    API_STREAM_NEXT,    /* the next message may come */
    API_STREAM_END      /* the call ends with *ret_reply; valid until api_stream_end */
};
/* What is to be done now. Asked until it says WAIT or END, whenever something has happened: one of
 * the functions above, room to send, the beginning of a drain; and once a second, since what is
 * watched changes, and deadlines pass, by themselves. */
enum api_stream_step api_stream_step(struct api_stream *stream,
                                     struct wire_reply *ret_reply) BASE_MUST_USE;
/* Bytes that the call holds, with what wire keeps of its answer's headers, for the budget. */
size_t api_stream_held_bytes(const struct api_stream *stream);
/* Frees the call with its request. At any time. */
void api_stream_end(struct api_stream *stream);

/* --- what a caller may be allowed --- */

/* Whether there is something of that name that callers are allowed or denied: a method, `Consume`,
 * or the page `metrics`. */
bool api_has_method(struct base_text name);
/* All their names, `Add, Consume, …`, in the arena, ended by NUL. */
const char *api_method_names(struct base_arena *arena);

/* --- the rules of a well-formed request, for whoever makes commands --- */

/* Whether a caller may use this as a transaction id (contract 3.1), and as an account id. NULL:
 * yes; otherwise a static text says what is allowed. */
const char *api_check_transaction_id(struct base_text transaction_id);
const char *api_check_account_id(struct base_text account_id);
const char *api_check_kind_code(struct base_text code);
/* The whole command. NULL: well-formed; otherwise what is wrong, with the field's path, in the
 * arena. */
const char *api_check_command(struct base_arena *arena, const struct ledger_command *command);

/* --- the client's half --- */

/* A call to make. Text is static, the message in the arena. */
struct api_call {
    struct base_text path;
    struct base_bytes message;
};

void api_call_command(struct base_arena *arena, const struct ledger_command *command,
                      struct api_call *ret_call);
void api_call_submit(struct base_arena *arena, size_t n_commands,
                     const struct ledger_command *commands, struct api_call *ret_call);
void api_call_get_balance(struct base_arena *arena, struct base_text account_id,
                          struct api_call *ret_call);
void api_call_batch_get_balances(struct base_arena *arena, size_t n_account_ids,
                                 const struct base_text *account_ids, struct api_call *ret_call);
void api_call_get_transaction(struct base_arena *arena, struct base_text transaction_id,
                              struct api_call *ret_call);
/* `kind` empty: all kinds. `page_token` empty: from the newest. */
void api_call_list_entries(struct base_arena *arena, struct base_text account_id,
                           struct base_text kind, int32_t page_size, struct base_text page_token,
                           struct api_call *ret_call);

/* An error as a client sees it. Texts are in the arena; those that the server did not send are
 * empty. */
struct api_failure {
    enum base_code code;
    struct base_text message;
    struct base_text reason;  /* of ErrorInfo */
    struct base_text applied; /* `no`, `unknown` */
    struct base_text retry;   /* `same_request`, `after_change`, `never` */
    struct base_text kind;    /* the kind that it is about */
    struct base_text fields;  /* the content fields that differ, or the violations, as text */
};

/* From a response's status, message and details. */
void api_failure_read(struct base_arena *arena, const struct wire_response *response,
                      struct api_failure *ret_failure);

/* What became of a command of a Submit. */
struct api_result {
    bool succeeded;
    bool replayed;
    struct base_bytes record;   /* when it succeeded */
    struct api_failure failure; /* when not */
};

/* These read an answer's message. False: it is none. Memory from the arena. */
bool api_read_submit(struct base_arena *arena, struct base_bytes message, size_t *ret_n_results,
                     struct api_result **ret_results) BASE_MUST_USE;

struct api_balance {
    struct base_text kind;
    int64_t available_minor;
    int64_t held_minor;
};
struct api_account {
    struct base_text account_id;
    size_t n_balances;
    struct api_balance *balances;
};
bool api_read_account(struct base_arena *arena, struct base_bytes message,
                      struct api_account *ret_account) BASE_MUST_USE;
bool api_read_accounts(struct base_arena *arena, struct base_bytes message, size_t *ret_n_accounts,
                       struct api_account **ret_accounts) BASE_MUST_USE;

struct api_entry {
    int64_t sequence;
    struct base_text transaction_id;
    struct base_text operation; /* `add`, `consume`, … */
    struct base_text kind;
    int64_t amount_minor;
    int64_t balance_after_minor;
    int64_t create_time_us;
    struct base_text description;
    struct base_text json; /* the entry as ProtoJSON on one line */
};
bool api_read_entries(struct base_arena *arena, struct base_bytes message, size_t *ret_n_entries,
                      struct api_entry **ret_entries,
                      struct base_text *ret_next_page_token) BASE_MUST_USE;

/* The answer of the method at `path`, as ProtoJSON on one line. */
bool api_read_json(struct base_arena *arena, struct base_text path, struct base_bytes message,
                   struct base_text *ret_json) BASE_MUST_USE;

/* A time as RFC 3339 with microseconds: `2026-11-23T00:00:00.123456Z`. */
struct base_text api_time_text(struct base_arena *arena, int64_t time_us);

#endif
