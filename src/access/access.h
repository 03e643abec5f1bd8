/*
 * access: who calls, and what each caller may do. A table of callers that is read and never
 * changed, and replaced as a whole; beside it each caller's allowance of calls, and counts of what
 * was refused. No files and no sockets; time is an input.
 *
 * A call goes through here like this:
 *
 *   access_recognize   by the token that it carries, or by its connection's certificate
 *   access_take_call   within the caller's rate
 *   access_allows_…    each thing that the call would touch
 *   access_release     when it is answered
 *
 * A call is judged by one table from its beginning to its end, whatever replaces it meanwhile. Any
 * thread.
 */
#ifndef ZANDAKA_ACCESS_H
#define ZANDAKA_ACCESS_H

#include "base/base.h"

/* A caller as it is configured. Of methods, kinds and prefixes none means all. */
struct access_caller {
    struct base_text name; /* as access_check_name wants it; no two callers have one */
    size_t n_tokens;       /* up to BASE_CALLER_TOKENS_MAX: the one in use, and the next */
    uint8_t token_sha256[BASE_CALLER_TOKENS_MAX][BASE_SHA256_BYTES]; /* no two are equal */
    size_t n_certificate_names;
    const struct base_text *certificate_names; /* alternative names of its certificates: a DNS name
                                                  in lower case, or a URI; no two callers' */
    size_t n_methods;
    const struct base_text *methods; /* `Consume` */
    size_t n_kinds;
    const struct base_text *kinds;
    size_t n_id_prefixes;
    const struct base_text *id_prefixes; /* of transaction ids */
    uint32_t rate_per_s;                 /* calls; 0: as many as it likes */
};

/* Whether a caller may be called so: 1 to BASE_CALLER_MAX_BYTES of letters, digits, `.`, `_` and
 * `-`. NULL: yes; otherwise a static text says what is allowed. */
const char *access_check_name(struct base_text name);

struct access;

/* Copies the callers, at most BASE_CALLERS_MAX. Never NULL. */
struct access *access_open(size_t n_callers, const struct access_caller *callers);
/* The same for calls that come from now on; allowances begin anew. */
void access_replace(struct access *access, size_t n_callers, const struct access_caller *callers);
/* No call may be under way. */
void access_close(struct access *access);

/* A caller that was recognized, and the table that it was found in. */
struct access_known;

/* What a call shows of who sends it. */
struct access_credentials {
    bool has_authorization;         /* then it alone counts, and a certificate does not */
    struct base_text authorization; /* the header's value: `Bearer TOKEN` */
    size_t n_certificate_names;     /* of the connection's certificate, which was verified */
    const struct base_text *certificate_names;
};

/* NULL: nobody is known by these, or a certificate has the names of two. How long it takes tells
 * nothing of a token but its length. */
struct access_known *access_recognize(struct access *access,
                                      const struct access_credentials *credentials);
void access_release(struct access_known *known);

/* These live until it is released. */
struct base_text access_name(const struct access_known *known);
/* The caller's number, for fairness: the same in every table that has its name, and above
 * INT64_MAX, so that it is no connection's. */
uint64_t access_line(const struct access_known *known);

/* Takes a call out of the caller's allowance: its rate, and at most a second's calls at once.
 * False: there is none left before *ret_wait_ns from now, and none was taken. */
bool access_take_call(struct access_known *known, int64_t now_mono_ns,
                      int64_t *ret_wait_ns) BASE_MUST_USE;

bool access_allows_method(const struct access_known *known, struct base_text method);
bool access_allows_kind(const struct access_known *known, struct base_text kind);
/* Byte by byte, as ids are compared everywhere (contract 3.1). */
bool access_allows_id(const struct access_known *known, struct base_text transaction_id);

/* --- what was refused --- */

enum access_refusal { ACCESS_UNAUTHENTICATED, ACCESS_DENIED, ACCESS_RATE_LIMITED };
#define ACCESS_REFUSALS 3

/* Counts a call (or a Submit's command) that was refused, and logs it: at most one line each
 * BASE_REFUSALS_LOGGED_EVERY_MS, which says how many went before it unsaid. `known` NULL: nobody
 * was recognized. `what` is the method and what was wrong, without anything secret. */
void access_note_refusal(struct access *access, enum access_refusal refusal,
                         const struct access_known *known, struct base_text what,
                         int64_t now_mono_ns);
/* How many there were since the start. */
uint64_t access_count_refusals(const struct access *access, enum access_refusal refusal);

#endif
