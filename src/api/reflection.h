/*
 * What gRPC's reflection tells: files, symbols and extensions, looked up in the descriptors that
 * the program was built with.
 */
#ifndef ZANDAKA_API_REFLECTION_H
#define ZANDAKA_API_REFLECTION_H

#include "base/base.h"
#include "grpc/reflection/v1/reflection.pb-c.h"

struct api_reflection;

/* Never NULL. */
struct api_reflection *api_reflection_open(void);
void api_reflection_close(struct api_reflection *reflection);
/* The answer to a request, in the arena; it points to the request. Any thread. v1alpha's messages
 * have the same numbers, and so the same bytes. */
const ProtobufCMessage *
api_reflection_answer(const struct api_reflection *reflection, struct base_arena *arena,
                      Grpc__Reflection__V1__ServerReflectionRequest *request);
/* Whether there is a service of that full name. */
bool api_reflection_has_service(const struct api_reflection *reflection, struct base_text name);

#endif
