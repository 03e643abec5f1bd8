/*
 * One connection to Spanner, and calls over it: any number are begun together and waited for
 * together. Every wait ends: at the answers, at the loss of the connection, or at its time. For the
 * files of this folder only; a channel is used by one thread at a time.
 */
#ifndef ZANDAKA_STORE_SPANNER_CHANNEL_H
#define ZANDAKA_STORE_SPANNER_CHANNEL_H

#include "base/base.h"
#include "store/spanner/credentials.h"

#include <protobuf-c/protobuf-c.h>

/* Bytes of what is said about a failure; longer texts are cut. */
#define SPANNER_MESSAGE_BYTES 512

/* Whom all channels of a store speak to. */
struct spanner_target {
    struct base_text address; /* HOST:PORT */
    bool emulator;            /* plaintext, and nobody asks who calls */
    struct spanner_credentials *credentials;
    struct base_text instance; /* projects/P/instances/I */
    struct base_text database; /* …/databases/D; ended by NUL, as are the others */
    uint64_t process_id;       /* random: which client this is, in the ids of requests */
};

struct spanner_channel {
    const struct spanner_target *target;
    unsigned number;           /* 1 and on, among the store's */
    struct net_stream *stream; /* NULL: not connected */
    struct wire_client *wire;
    uint64_t n_requests;
    size_t n_unsent;
    uint8_t *unsent;     /* of unsent_memory */
    const char *problem; /* why the connection has ended; static */
    uint8_t unsent_memory[BASE_WRITE_BUFFER_BYTES];
};

/* Codes of gRPC that base, which answers with none of them, has no names for. */
#define SPANNER_ALREADY_EXISTS 6
#define SPANNER_ABORTED 10
#define SPANNER_OUT_OF_RANGE 11
#define SPANNER_DATA_LOSS 15
/* Beside the codes of gRPC. */
#define SPANNER_LOST (-1)   /* it was sent, and nobody knows what became of it */
#define SPANNER_UNSENT (-2) /* there is no connection: it was not sent */

/* A call. The first part is asked, the second is the answer. */
struct spanner_call {
    const char *path; /* `/google.spanner.v1.Spanner/Commit` */
    const ProtobufCMessage *request;
    /* What the call is routed by: the name of a field and its value. */
    const char *route_key;
    struct base_text route;
    bool to_leader; /* a call of a transaction that writes */
    /* The answer is a stream; each message goes here, and is valid during the call only. NULL: the
     * answer is one message. */
    void (*take)(void *user, struct base_bytes message);
    void *user;
    struct base_arena *arena; /* where the answer goes */

    uint64_t request_number; /* 0: a new request; else it is repeated */
    unsigned attempt;

    struct spanner_channel *channel; /* the channel's own */
    bool taken;                      /* a message was */
    bool answered;
    int status; /* a code of gRPC, SPANNER_LOST or SPANNER_UNSENT */
    struct base_bytes body;
    int64_t retry_delay_ms; /* what the server asks to wait; -1: nothing is said */
    char message[SPANNER_MESSAGE_BYTES];
};

/* Runs the calls. Connects when there is no connection. Those that are refused for their token
 * before a message of theirs was taken are run once more, if another token can be had: nothing was
 * done for them. A connection that gives no answer by the
 * deadline is given up: after SPANNER_LOST there is none. */
void spanner_channel_run(struct spanner_channel *channel, size_t n_calls,
                         struct spanner_call *const *calls, int64_t deadline_mono_ns);
/* Also where there is no connection. */
void spanner_channel_close(struct spanner_channel *channel);

/* A message as bytes, and bytes as a message, in the arena. NULL: the bytes are no such message. */
struct base_bytes spanner_pack(struct base_arena *arena, const ProtobufCMessage *message);
const void *spanner_unpack(struct base_arena *arena, const ProtobufCMessageDescriptor *descriptor,
                           struct base_bytes bytes);

/* For protobuf-c's fields, whose types are not const. */
static inline char *spanner_string(struct base_text text)
{
    return (char *)(uintptr_t)text.bytes;
}
static inline ProtobufCBinaryData spanner_binary(struct base_bytes bytes)
{
    return (ProtobufCBinaryData){bytes.length, (uint8_t *)(uintptr_t)bytes.bytes};
}
static inline struct base_bytes spanner_bytes_of(ProtobufCBinaryData data)
{
    return (struct base_bytes){data.data, data.len};
}

#endif
