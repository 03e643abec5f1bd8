/*
 * The other end of a session of HTTP/1.1: notes the requests, answers them, and collects what is
 * sent.
 */
#ifndef ZANDAKA_TESTS_WIRE_HTTP1_PEER_H
#define ZANDAKA_TESTS_WIRE_HTTP1_PEER_H

#include "wire/protocol.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

#define ANSWER_HEAD "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n"
#define ANSWER ANSWER_HEAD "zandaka-replayed: true\r\n\r\n{}"
#define ANSWER_HEAD_ONLY ANSWER_HEAD "zandaka-replayed: true\r\n\r\n"
#define LAST_ANSWER ANSWER_HEAD "connection: close\r\nzandaka-replayed: true\r\n\r\n{}"
#define KEPT_ANSWER ANSWER_HEAD "connection: keep-alive\r\nzandaka-replayed: true\r\n\r\n{}"
#define HOST "Host: h\r\n"
#define POST "POST /p HTTP/1.1\r\n" HOST
#define CHUNKED POST "Transfer-Encoding: chunked\r\n"

struct http1_peer {
    const char *name; /* of what is fed, for a failure's message */
    void *state;
    struct base_writer requests; /* one line for each */
    struct base_writer output;
    size_t n_requests;
    uint32_t last_stream;
    bool answers_at_once;
    bool open; /* what receive gave */
};

void http1_open(struct http1_peer *peer, bool answers_at_once);
void http1_close(struct http1_peer *peer);
/* Answers with ANSWER, or what the session makes of it. */
void http1_answer(struct http1_peer *peer, uint32_t stream);
/* Takes what the session has to send, in pieces that are no round number. */
void http1_collect(struct http1_peer *peer);
/* Feeds text in pieces of that size (0: whole), until the session has ended. */
void http1_feed(struct http1_peer *peer, struct base_text text, size_t piece_size);

/* What was written is that, or the test fails with both. */
void http1_assert_written(const struct http1_peer *peer, const struct base_writer *writer,
                          struct base_text expected);
bool http1_has(const struct base_writer *writer, const char *part);
size_t http1_count(const struct base_writer *writer, const char *part);
/* `front`, n times the byte, `behind`. From the arena. */
struct base_text http1_repeated(struct base_arena *arena, const char *front, char byte, size_t n,
                                const char *behind);

#endif
