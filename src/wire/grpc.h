/*
 * What gRPC adds to HTTP/2, in both roles and without a session: the prefix before each message,
 * percent-encoding, binary metadata, timeouts (gRPC over HTTP/2).
 */
#ifndef ZANDAKA_WIRE_GRPC_H
#define ZANDAKA_WIRE_GRPC_H

#include "wire/wire.h"

/* --- messages --- */

/* The flag (compressed or not) and the length, before each message. */
#define WIRE_GRPC_PREFIX_BYTES 5

enum wire_message_fault {
    WIRE_MESSAGE_FINE,
    WIRE_MESSAGE_TOO_LARGE,  /* longer than the caller takes */
    WIRE_MESSAGE_COMPRESSED, /* flagged so */
    WIRE_MESSAGE_BAD_FLAG,   /* neither 0 nor 1 */
    WIRE_MESSAGE_EXTRA,      /* bytes behind the first message: a second one */
    WIRE_MESSAGE_MISSING,    /* the stream has ended without a message */
    WIRE_MESSAGE_CUT_SHORT   /* the stream has ended inside the message */
};

/* A message, put together from pieces as they come: the one of a unary call, or of a streamed one's
 * the one that comes. All zeros: none yet. */
struct wire_message_reader {
    uint8_t prefix[WIRE_GRPC_PREFIX_BYTES];
    uint8_t n_prefix;         /* bytes of it that have come */
    uint32_t length;          /* as announced; once n_prefix is full */
    struct base_writer bytes; /* what has come of the message; its memory is the caller's */
};

/* Takes the next piece. After a fault the reader is not used again, but for its memory. */
enum wire_message_fault wire_message_take(struct wire_message_reader *reader,
                                          struct base_bytes piece, size_t length_max) BASE_MUST_USE;
/* Bytes that the message takes before it, or its prefix, is complete; 0: it is whole. */
size_t wire_message_missing(const struct wire_message_reader *reader);
/* Whether what has come is one whole message. */
enum wire_message_fault wire_message_end(const struct wire_message_reader *reader) BASE_MUST_USE;
/* The prefix of a message that is not compressed. */
void wire_message_write_prefix(uint8_t prefix[WIRE_GRPC_PREFIX_BYTES], uint32_t length);

/* Appends to a body that may grow to `length_max` and is expected to become `length_expected` (0:
 * unknown): memory is taken as bytes come, never because they are promised. */
void wire_body_append(struct base_writer *body, struct base_bytes piece, size_t length_expected);

/* --- the text of grpc-message --- */

/* The bytes that it takes, encoded. */
size_t wire_percent_encoded_length(struct base_text text);
/* Writes as many. */
void wire_percent_encode(struct base_text text, char *encoded);
/* In the arena. What is not an escape stays as it is: a message is shown, never refused. */
struct base_text wire_percent_decode(struct base_arena *arena, struct base_text encoded);

/* --- metadata --- */

/* Header fields as they come, in an arena. All zeros: none. */
struct wire_header_list {
    struct wire_header *headers;
    size_t count;
    size_t capacity;
};
void wire_header_list_add(struct wire_header_list *list, struct base_arena *arena,
                          struct wire_header header);

/* Whether the name is that of binary metadata: ends in `-bin`. */
bool wire_header_is_binary(struct base_text name);
/* Adds each of the values of binary metadata, which stand in one field behind commas, decoded. A
 * value that is not base64 is left out: it cannot be told. */
void wire_header_list_add_binary(struct wire_header_list *list, struct base_arena *arena,
                                 struct wire_header header);

/* --- timeouts --- */

/* Room for a timeout as text: 8 digits and the unit. */
#define WIRE_GRPC_TIMEOUT_BYTES 9
/* Writes a timeout (0 or more), rounded up to what 8 digits can say; gives its length. */
size_t wire_print_grpc_timeout(int64_t timeout_ns, char text[WIRE_GRPC_TIMEOUT_BYTES]);

#endif
