/* grpc.health.v1: whether the server takes calls, asked once or watched. */
#include "api/exchange.h"
#include "api/stream.h"
#include "grpc/health/v1/health.pb-c.h"

/* The numbers of HealthCheckResponse.ServingStatus. */
enum health_status {
    HEALTH_NONE = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__UNKNOWN,
    HEALTH_SERVING = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING,
    HEALTH_NOT_SERVING = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING,
    HEALTH_SERVICE_UNKNOWN =
        GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN
};

/* All services stand and fall together: there is one store behind them, and one process. */
static enum health_status status_of(struct api *api, struct base_text service)
{
    if (service.length > 0 && !api_reflection_has_service(api->reflection, service)) {
        return HEALTH_SERVICE_UNKNOWN;
    }
    const char *reason;
    return api_ready(api, &reason) ? HEALTH_SERVING : HEALTH_NOT_SERVING;
}

static const ProtobufCMessage *response_of(struct base_arena *arena, enum health_status status)
{
    Grpc__Health__V1__HealthCheckResponse *response = base_arena_take(arena, sizeof *response);
    grpc__health__v1__health_check_response__init(response);
    response->status = (Grpc__Health__V1__HealthCheckResponse__ServingStatus)status;
    return &response->base;
}

bool api_health_check_start(struct api_exchange *exchange, const ProtobufCMessage *message)
{
    const Grpc__Health__V1__HealthCheckRequest *request =
        (const Grpc__Health__V1__HealthCheckRequest *)message;
    enum health_status status = status_of(exchange->api, base_text_of(request->service));
    if (status == HEALTH_SERVICE_UNKNOWN) {
        exchange->error.reason = BASE_REASON_UNKNOWN_SERVICE;
    }
    exchange->found = (void *)response_of(exchange->arena, status);
    return false;
}

void api_health_check_answer(struct api_exchange *exchange, struct api_answer *ret_answer)
{
    ret_answer->message = exchange->found;
}

/* --- Watch --- */

/* What was watched last: the call's own, in its request's arena. */
struct watch {
    struct base_text service;
    enum health_status told;
};

void api_health_watch_take(struct api_stream *stream, ProtobufCMessage *message)
{
    const Grpc__Health__V1__HealthCheckRequest *request =
        (const Grpc__Health__V1__HealthCheckRequest *)message;
    struct watch *watch = base_arena_take(&stream->request->arena, sizeof *watch);
    watch->service = base_arena_text(&stream->request->arena, base_text_of(request->service));
    watch->told = HEALTH_NONE;
    stream->found = watch;
}

const ProtobufCMessage *api_health_watch_answer(struct api_stream *stream)
{
    struct watch *watch = stream->found;
    if (watch == NULL) {
        return NULL;
    }
    enum health_status status = status_of(stream->api, watch->service);
    if (status == watch->told) {
        return NULL;
    }
    watch->told = status;
    return response_of(&stream->arena, status);
}
