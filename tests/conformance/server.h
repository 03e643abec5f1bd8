/*
 * A server for tests that others have written: gRPC's interop client and Connect's conformance
 * runner judge net/, wire/ and what api/ makes of the Connect protocol by services that they know.
 * The services are here; all that speaks is the program's own.
 */
#ifndef ZANDAKA_TESTS_CONFORMANCE_SERVER_H
#define ZANDAKA_TESTS_CONFORMANCE_SERVER_H

#include "api/connect.h"
#include "wire/wire.h"

#include <protobuf-c/protobuf-c.h>

/* --- conformance.c: connectrpc.conformance.v1.ConformanceService --- */

/* Whether the path is of the service; then the answer, in the request's arena, and after how long
 * it is to be given. */
bool conformance_answer(struct wire_request *request, struct wire_reply *ret_reply,
                        int64_t *ret_delay_ms);

/* --- interop.c: grpc.testing.TestService --- */

/* The same for its unary methods. */
bool interop_answer(struct wire_request *request, struct wire_reply *ret_reply);

/* Its streamed ones, each by the functions of a wire session. */
size_t interop_message_max(struct base_text path);
struct interop_stream;
struct interop_stream *interop_stream_open(struct wire_server *wire, uint32_t id,
                                           struct wire_request *request);
/* Each gives whether the call is over; then the stream is to be closed. */
bool interop_stream_message(struct interop_stream *stream, struct base_bytes message);
bool interop_stream_half_close(struct interop_stream *stream);
bool interop_stream_write(struct interop_stream *stream);
void interop_stream_close(struct interop_stream *stream);

/* --- answers.c: what both need --- */

/* A message in the form that the request came in, as the reply's body. */
void answer_message(struct wire_request *request, enum api_form form,
                    const ProtobufCMessage *message, struct wire_reply *ret_reply);
/* An error without details. */
void answer_error(struct wire_request *request, enum base_code code, const char *message,
                  struct wire_reply *ret_reply);
/* The form in which a gRPC call's messages are. */
enum api_form grpc_form(const struct wire_request *request);
/* The value of a header in bytes: of one whose name ends in -bin, out of its base64. */
struct base_text header_bytes(struct base_arena *arena, struct base_text name,
                              struct base_text value);

#endif
