/*
 * What both roles of HTTP/2 share around an nghttp2 session: its options and memory, the bytes that
 * it sends, and a message on its way out.
 */
#ifndef ZANDAKA_WIRE_HTTP2_H
#define ZANDAKA_WIRE_HTTP2_H

#include "wire/wire.h"

#include <nghttp2/nghttp2.h>

/* Memory for nghttp2: it never runs out either (base/memory.h). */
nghttp2_mem wire_http2_memory(void);

/* What a session is made with, which a role adds its own to; closed once the session is there. */
struct wire_http2_setup {
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
};
struct wire_http2_setup wire_http2_setup_open(void);
void wire_http2_setup_close(struct wire_http2_setup setup);

/* Tells a new session's peer our windows and limits, and the setting that goes with the role. */
void wire_http2_announce(nghttp2_session *session, nghttp2_settings_entry of_role);

/* Gathers what the session has to send into `buffer`. The rest of a chunk that does not fit stays
 * in *leftover, which is nghttp2's until its next chunk. */
size_t wire_http2_gather(nghttp2_session *session, struct base_bytes *leftover, uint8_t *buffer,
                         size_t capacity);

/*
 * A message on its way out: header fields, a body, trailer fields, in one arena, so that nghttp2
 * need not copy the fields. All zeros: none. Filled in that order; kept until its stream is closed.
 */
struct wire_http2_message {
    struct base_arena arena;
    nghttp2_nv *fields; /* the header's, then the trailer's */
    size_t n_fields;
    size_t n_fields_max;
    size_t n_header_fields; /* how many of them are the header's */
    const uint8_t *body;    /* what of the body is still to be sent */
    size_t body_left;
};

void wire_http2_message_open(struct wire_http2_message *message, size_t n_fields_max);
/* Empties the message. A little memory is kept for the next one; release gives back all. */
void wire_http2_message_reset(struct wire_http2_message *message);
void wire_http2_message_release(struct wire_http2_message *message);
/* Adds a field whose texts live as long as the message. `flags` are of nghttp2_nv_flag. */
void wire_http2_message_add(struct wire_http2_message *message, struct base_text name,
                            struct base_text value, unsigned flags);
/* Adds copies of the headers, binary ones in base64. */
void wire_http2_message_add_headers(struct wire_http2_message *message, size_t count,
                                    const struct wire_header *headers);
/* The fields added so far are the header's; those to come are the trailer's. */
void wire_http2_message_end_header(struct wire_http2_message *message);
/* Adds a copy of the body as it is, or as gRPC's message behind its prefix. */
void wire_http2_message_add_body(struct wire_http2_message *message, struct base_bytes body);
void wire_http2_message_add_grpc_body(struct wire_http2_message *message, struct base_bytes body);
/* Gives nghttp2 the body and, behind it, the trailer fields. */
nghttp2_data_provider wire_http2_message_provider(struct wire_http2_message *message);

/* Opens the message and fills it with a reply. gRPC's HTTP status is 200 for all that is gRPC. */
void wire_http2_fill_grpc(struct wire_http2_message *message, const struct wire_reply *reply,
                          int http_status);
/* The header fields of an answer whose messages and trailers follow on their own; and these. */
void wire_http2_fill_grpc_headers(struct wire_http2_message *message, size_t n_headers,
                                  const struct wire_header *headers);
void wire_http2_fill_grpc_trailers(struct wire_http2_message *message,
                                   const struct wire_reply *reply);
/* `head`: the request's method was HEAD, whose answer tells of a body and has none. */
void wire_http2_fill_http(struct wire_http2_message *message, const struct wire_reply *reply,
                          bool head);

#endif
