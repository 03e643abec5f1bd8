#include "wire/http2.h"

#include "wire/grpc.h"

#include <stdlib.h>
#include <string.h>

/* --- memory --- */

static void *memory_allocate(size_t size, void *user)
{
    (void)user;
    return base_allocate(size);
}

static void memory_free(void *memory, void *user)
{
    (void)user;
    free(memory);
}

static void *memory_allocate_zeroed(size_t count, size_t size, void *user)
{
    (void)user;
    return base_allocate_zeroed(count, size);
}

static void *memory_reallocate(void *memory, size_t size, void *user)
{
    (void)user;
    return base_reallocate(memory, size);
}

nghttp2_mem wire_http2_memory(void)
{
    return (nghttp2_mem){NULL, memory_allocate, memory_free, memory_allocate_zeroed,
                         memory_reallocate};
}

/* --- opening --- */

struct wire_http2_setup wire_http2_setup_open(void)
{
    struct wire_http2_setup setup = {NULL, NULL};
    if (nghttp2_session_callbacks_new(&setup.callbacks) != 0 ||
        nghttp2_option_new(&setup.option) != 0) {
        base_stop("out of memory (for an HTTP/2 session)");
    }
    /* Of a closed stream nothing is kept: the tree of priorities, which would want it, is off. */
    nghttp2_option_set_no_closed_streams(setup.option, 1);
    return setup;
}

void wire_http2_setup_close(struct wire_http2_setup setup)
{
    nghttp2_option_del(setup.option);
    nghttp2_session_callbacks_del(setup.callbacks);
}

void wire_http2_announce(nghttp2_session *session, nghttp2_settings_entry of_role)
{
    const nghttp2_settings_entry settings[] = {
        of_role,
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, BASE_STREAM_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, BASE_HEADERS_MAX_BYTES},
        /* No tree of priorities: no client of ours uses it, and it costs with each stream. */
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    int result = nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings,
                                         sizeof settings / sizeof settings[0]);
    base_assert(result == 0);
    result = nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0,
                                                   BASE_CONNECTION_WINDOW_BYTES);
    base_assert(result == 0);
}

/* --- sending --- */

size_t wire_http2_gather(nghttp2_session *session, struct base_bytes *leftover, uint8_t *buffer,
                         size_t capacity)
{
    size_t gathered = 0;
    while (gathered < capacity) {
        if (leftover->length == 0) {
            const uint8_t *chunk;
            ssize_t length = nghttp2_session_mem_send(session, &chunk);
            /* It fails for want of memory or because a callback did: neither can be. */
            base_assert(length >= 0);
            if (length == 0) {
                break;
            }
            *leftover = (struct base_bytes){chunk, (size_t)length};
        }
        size_t length = capacity - gathered;
        if (length > leftover->length) {
            length = leftover->length;
        }
        memcpy(buffer + gathered, leftover->bytes, length);
        leftover->bytes += length;
        leftover->length -= length;
        gathered += length;
    }
    return gathered;
}

/* --- messages --- */

/* What a message keeps between two uses: the first chunk of an arena, which nearly all need. */
#define MESSAGE_KEPT_BYTES ((size_t)8192)

void wire_http2_message_open(struct wire_http2_message *message, size_t n_fields_max)
{
    message->fields = base_arena_take(&message->arena, n_fields_max * sizeof *message->fields);
    message->n_fields = 0;
    message->n_fields_max = n_fields_max;
    message->n_header_fields = 0;
    message->body = NULL;
    message->body_left = 0;
}

void wire_http2_message_reset(struct wire_http2_message *message)
{
    struct base_arena arena = message->arena;
    if (base_arena_held(&arena) > MESSAGE_KEPT_BYTES) {
        base_arena_release(&arena);
    } else {
        base_arena_reset(&arena);
    }
    *message = (struct wire_http2_message){.arena = arena};
}

void wire_http2_message_release(struct wire_http2_message *message)
{
    base_arena_release(&message->arena);
    *message = (struct wire_http2_message){.arena = BASE_ARENA_EMPTY};
}

void wire_http2_message_add(struct wire_http2_message *message, struct base_text name,
                            struct base_text value, unsigned flags)
{
    base_assert(message->n_fields < message->n_fields_max);
    message->fields[message->n_fields++] = (nghttp2_nv){
        /* nghttp2 reads them only; its type is the same for fields that it hands out. */
        (uint8_t *)(uintptr_t)name.bytes, (uint8_t *)(uintptr_t)value.bytes, name.length,
        value.length,
        (uint8_t)(flags | NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE)};
}

void wire_http2_message_add_headers(struct wire_http2_message *message, size_t count,
                                    const struct wire_header *headers)
{
    struct base_arena *arena = &message->arena;
    for (size_t i = 0; i < count; i++) {
        struct base_text name = base_arena_text(arena, headers[i].name);
        struct base_text value =
            wire_header_is_binary(name)
                ? base_base64_encode(arena, base_bytes_of(headers[i].value), BASE_BASE64_UNPADDED)
                : base_arena_text(arena, headers[i].value);
        /* An id of every request its own would drive from HPACK's table what comes again. */
        bool once = base_text_equal(name, BASE_TEXT("x-request-id"));
        wire_http2_message_add(message, name, value,
                               once ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE);
    }
}

void wire_http2_message_end_header(struct wire_http2_message *message)
{
    message->n_header_fields = message->n_fields;
}

void wire_http2_message_add_body(struct wire_http2_message *message, struct base_bytes body)
{
    message->body = base_arena_bytes(&message->arena, body).bytes;
    message->body_left = body.length;
}

void wire_http2_message_add_grpc_body(struct wire_http2_message *message, struct base_bytes body)
{
    base_assert(body.length <= UINT32_MAX);
    uint8_t *bytes = base_arena_take(&message->arena, WIRE_GRPC_PREFIX_BYTES + body.length);
    wire_message_write_prefix(bytes, (uint32_t)body.length);
    if (body.length > 0) {
        memcpy(bytes + WIRE_GRPC_PREFIX_BYTES, body.bytes, body.length);
    }
    message->body = bytes;
    message->body_left = WIRE_GRPC_PREFIX_BYTES + body.length;
}

static ssize_t message_read(nghttp2_session *session, int32_t stream_id, uint8_t *buffer,
                            size_t capacity, uint32_t *data_flags, nghttp2_data_source *source,
                            void *user)
{
    (void)user;
    struct wire_http2_message *message = source->ptr;
    size_t length = message->body_left < capacity ? message->body_left : capacity;
    if (length > 0) {
        memcpy(buffer, message->body, length);
        message->body += length;
        message->body_left -= length;
    }
    if (message->body_left == 0) {
        *data_flags |= NGHTTP2_DATA_FLAG_EOF;
        if (message->n_fields > message->n_header_fields) {
            *data_flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            int result = nghttp2_submit_trailer(session, stream_id,
                                                message->fields + message->n_header_fields,
                                                message->n_fields - message->n_header_fields);
            base_assert(result == 0);
        }
    }
    return (ssize_t)length;
}

nghttp2_data_provider wire_http2_message_provider(struct wire_http2_message *message)
{
    return (nghttp2_data_provider){.source = {.ptr = message}, .read_callback = message_read};
}
