/*
 * The parts of HTTP/1.1 (RFC 9112): a head, a chunked body, an answer. Reading is strict: what
 * other implementations forgive is refused here, since two that forgive differently can be made to
 * disagree about where a request ends.
 */
#ifndef ZANDAKA_WIRE_HTTP1_H
#define ZANDAKA_WIRE_HTTP1_H

#include "wire/protocol.h"

/* Why a request is not read any further. The connection closes behind it, since where the next
 * request begins is not known. */
struct wire_http1_refusal {
    int http_status;
    const char *message; /* static */
};

/* What a head says about the connection and about the body behind it. */
struct wire_http1_head {
    bool keep_alive;         /* whether the peer wants to go on after the answer */
    bool older;              /* HTTP/1.0 */
    bool is_head;            /* the answer has no body (method HEAD) */
    bool expects_continue;   /* the body comes after a 100 */
    bool chunked;            /* the body ends by itself; content_length is 0 */
    uint64_t content_length; /* bytes of the body otherwise */
};

enum wire_http1_progress {
    WIRE_HTTP1_MORE,    /* all bytes were looked at, and more are needed */
    WIRE_HTTP1_DATA,    /* a piece of the body */
    WIRE_HTTP1_DONE,    /* it is complete */
    WIRE_HTTP1_REFUSED, /* *ret_refusal says why */
};

/* Looks for the end of a head that begins at bytes.bytes, of which *scanned were looked at by calls
 * before. DONE: the head is the first *scanned bytes. Refuses early what cannot become a head, so
 * that a peer that speaks something else does not wait for an answer. */
enum wire_http1_progress wire_http1_scan_head(struct base_bytes bytes, size_t *scanned,
                                              struct wire_http1_refusal *ret_refusal);

/* Reads a scanned head into the request, where it is copied. False: refused. */
bool wire_http1_read_head(struct base_bytes bytes, struct wire_request *request,
                          struct wire_http1_head *ret_head,
                          struct wire_http1_refusal *ret_refusal) BASE_MUST_USE;

/* Writes the answer to the request with that head. `last`: the connection closes behind it. */
void wire_http1_write_answer(struct base_writer *output, const struct wire_reply *reply,
                             const struct wire_http1_head *head, bool last);

/* Whether `line`, without its CRLF, is a header field. */
bool wire_http1_is_field(struct base_text line);

/* A chunked body in the reading. Begins zeroed. */
struct wire_http1_chunks {
    enum { WIRE_HTTP1_SIZE, WIRE_HTTP1_BODY, WIRE_HTTP1_BODY_END, WIRE_HTTP1_TRAILERS } stage;
    uint64_t remaining;      /* bytes of the chunk that have not come */
    size_t trailers_length;  /* bytes of the trailers so far */
    struct base_writer line; /* the line that has begun */
};

/* Takes from the front of *bytes. DATA: *ret_data is a piece of the body, in *bytes' memory. DONE:
 * the body and its trailers are complete; what is left in *bytes is behind it. */
enum wire_http1_progress wire_http1_take_chunks(struct wire_http1_chunks *chunks,
                                                struct base_bytes *bytes,
                                                struct base_bytes *ret_data,
                                                struct wire_http1_refusal *ret_refusal);
void wire_http1_release_chunks(struct wire_http1_chunks *chunks);

#endif
