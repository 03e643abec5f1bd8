/*
 * A body is read on only if what stands before it is worth that: the session asks once, and not for
 * small ones. Over HTTP/1.1, and over HTTP/2 as gRPC and as JSON.
 */
#include "wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct scene {
    struct base_arena arena;
    struct wire_server *server;
    bool admits;
    unsigned n_asked;
    unsigned n_requests;
    enum wire_defect defect; /* of the last request */
    size_t body_length;
};

static void on_request(void *user, uint32_t stream, struct wire_request *request)
{
    struct scene *scene = user;
    scene->n_requests++;
    scene->defect = request->defect;
    scene->body_length = request->body.length;
    bool grpc = request->form == WIRE_GRPC;
    wire_request_release(request);
    struct wire_reply reply = {.http_status = 200, .grpc_status = BASE_CODE_OK};
    reply.content_type = grpc ? BASE_TEXT("application/grpc") : BASE_TEXT("text/plain");
    wire_server_reply(scene->server, stream, &reply);
}

static bool on_admits(void *user, const struct wire_request *request)
{
    struct scene *scene = user;
    scene->n_asked++;
    assert_true(base_text_equal(request->path, BASE_TEXT("/p")));
    struct base_text authorization = wire_request_header(request, BASE_TEXT("authorization"));
    assert_true(base_text_equal(authorization, BASE_TEXT("a")));
    return scene->admits;
}

static void on_cancelled(void *user, uint32_t stream)
{
    (void)user;
    (void)stream;
}

static const struct wire_server_events events = {
    .request = on_request, .admits = on_admits, .cancelled = on_cancelled};

static int scene_open(void **state)
{
    struct scene *scene = base_allocate_zeroed(1, sizeof *scene);
    scene->server = wire_server_open(&events, scene);
    *state = scene;
    return 0;
}

static int scene_close(void **state)
{
    struct scene *scene = *state;
    wire_server_close(scene->server);
    base_arena_release(&scene->arena);
    free(scene);
    return 0;
}

static bool feed(struct scene *scene, struct base_bytes bytes)
{
    return wire_server_receive(scene->server, bytes);
}

static bool feed_zeros(struct scene *scene, size_t n_bytes)
{
    const uint8_t *zeros = base_arena_take_zeroed(&scene->arena, n_bytes, 1);
    return feed(scene, (struct base_bytes){zeros, n_bytes});
}

static bool sends(struct scene *scene, const char *part)
{
    static char buffer[65536];
    size_t length = wire_server_send(scene->server, (uint8_t *)buffer, sizeof buffer - 1);
    buffer[length] = '\0';
    return strstr(buffer, part) != NULL;
}

static void must_be(const struct scene *scene, unsigned n_asked, unsigned n_requests,
                    enum wire_defect defect, size_t body_length)
{
    assert_int_equal(scene->n_asked, n_asked);
    assert_int_equal(scene->n_requests, n_requests);
    assert_int_equal(scene->defect, defect);
    assert_int_equal(scene->body_length, body_length);
}

/* --- HTTP/1.1 --- */

#define HEAD "POST /p HTTP/1.1\r\nhost: h\r\nauthorization: a\r\n"

static bool feed_head(struct scene *scene, size_t content_length, const char *more)
{
    struct base_text head =
        base_arena_print(&scene->arena, HEAD "content-length: %zu\r\n%s\r\n", content_length, more);
    return feed(scene, base_bytes_of(head));
}

static void for_a_small_body_nobody_is_asked(void **state)
{
    struct scene *scene = *state;
    assert_true(feed_head(scene, BASE_BODY_UNASKED_BYTES, ""));
    assert_true(feed_zeros(scene, BASE_BODY_UNASKED_BYTES));
    must_be(scene, 0, 1, WIRE_DEFECT_NONE, BASE_BODY_UNASKED_BYTES);
}

static void a_larger_body_that_is_not_admitted_is_answered_before_it_comes(void **state)
{
    struct scene *scene = *state;
    (void)!feed_head(scene, BASE_BODY_UNASKED_BYTES + 1, "");
    must_be(scene, 1, 1, WIRE_DEFECT_UNREAD, 0);
    assert_true(sends(scene, "connection: close"));
    /* What comes all the same is dropped. */
    assert_false(feed_zeros(scene, BASE_BODY_UNASKED_BYTES + 1));
    must_be(scene, 1, 1, WIRE_DEFECT_UNREAD, 0);
}

static void a_body_that_is_not_admitted_is_not_asked_to_come(void **state)
{
    struct scene *scene = *state;
    (void)!feed_head(scene, BASE_REQUEST_MAX_BYTES, "expect: 100-continue\r\n");
    must_be(scene, 1, 1, WIRE_DEFECT_UNREAD, 0);
    assert_false(sends(scene, "100 Continue"));
}

static void a_larger_body_that_is_admitted_is_read(void **state)
{
    struct scene *scene = *state;
    scene->admits = true;
    assert_true(feed_head(scene, 3 * BASE_BODY_UNASKED_BYTES, "expect: 100-continue\r\n"));
    assert_true(sends(scene, "100 Continue"));
    assert_true(feed_zeros(scene, 3 * BASE_BODY_UNASKED_BYTES));
    must_be(scene, 1, 1, WIRE_DEFECT_NONE, 3 * BASE_BODY_UNASKED_BYTES);
    /* The next request is asked for anew. */
    assert_false(sends(scene, "connection: close"));
    scene->admits = false;
    (void)!feed_head(scene, 3 * BASE_BODY_UNASKED_BYTES, "");
    must_be(scene, 2, 2, WIRE_DEFECT_UNREAD, 0);
}

static void a_body_too_large_that_is_not_admitted_is_told_so_first(void **state)
{
    struct scene *scene = *state;
    (void)!feed_head(scene, BASE_REQUEST_MAX_BYTES + 1, "");
    must_be(scene, 1, 1, WIRE_DEFECT_UNREAD, 0);
}

static void feed_chunk(struct scene *scene, size_t n_bytes)
{
    struct base_text size = base_arena_print(&scene->arena, "%zx\r\n", n_bytes);
    if (feed(scene, base_bytes_of(size)) && feed_zeros(scene, n_bytes)) {
        (void)!feed(scene, base_bytes_of(BASE_TEXT("\r\n")));
    }
}

static void a_body_in_chunks_is_read_until_it_is_large(void **state)
{
    struct scene *scene = *state;
    assert_true(feed(scene, base_bytes_of(BASE_TEXT(HEAD "transfer-encoding: chunked\r\n\r\n"))));
    feed_chunk(scene, BASE_BODY_UNASKED_BYTES - 1);
    feed_chunk(scene, 1);
    assert_int_equal(scene->n_asked, 0);
    feed_chunk(scene, 1);
    must_be(scene, 1, 1, WIRE_DEFECT_UNREAD, 0);
}

/* --- HTTP/2 --- */

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"

static void feed_frame(struct scene *scene, uint8_t type, uint8_t flags, struct base_bytes payload)
{
    const uint8_t head[] = {(uint8_t)(payload.length >> 16),
                            (uint8_t)(payload.length >> 8),
                            (uint8_t)payload.length,
                            type,
                            flags,
                            0,
                            0,
                            0,
                            1};
    assert_true(feed(scene, (struct base_bytes){head, sizeof head}));
    assert_true(feed(scene, payload));
}

/* Indexed POST and http; the path; content-type and authorization, by the static table's names. */
static void feed_headers(struct scene *scene, const char *content_type)
{
    assert_true(feed(scene, (struct base_bytes){(const uint8_t *)PREFACE, sizeof PREFACE - 1}));
    struct base_writer block = {0};
    base_write_bytes(&block, base_bytes_of(BASE_TEXT("\x83\x86\x01\x01h\x04\x02/p\x0f\x10")));
    uint8_t length = (uint8_t)strlen(content_type);
    base_write_bytes(&block, (struct base_bytes){&length, 1});
    base_write_bytes(&block, base_bytes_of(base_text_of(content_type)));
    base_write_bytes(&block, base_bytes_of(BASE_TEXT("\x0f\x08\x01"
                                                     "a")));
    feed_frame(scene, 1, 4, base_writer_bytes(&block));
    base_writer_release(&block);
}

/* A message of gRPC that announces its length, and so much of it. */
static void feed_message(struct scene *scene, size_t announced, size_t n_bytes, bool last)
{
    uint8_t *bytes = base_arena_take_zeroed(&scene->arena, 5 + n_bytes, 1);
    bytes[3] = (uint8_t)(announced >> 8);
    bytes[4] = (uint8_t)announced;
    feed_frame(scene, 0, last ? 1 : 0, (struct base_bytes){bytes, 5 + n_bytes});
}

static void for_a_small_message_nobody_is_asked(void **state)
{
    struct scene *scene = *state;
    feed_headers(scene, "application/grpc");
    feed_message(scene, BASE_BODY_UNASKED_BYTES, BASE_BODY_UNASKED_BYTES, true);
    must_be(scene, 0, 1, WIRE_DEFECT_NONE, BASE_BODY_UNASKED_BYTES);
}

static void a_message_that_is_not_admitted_is_answered_by_its_length_alone(void **state)
{
    struct scene *scene = *state;
    feed_headers(scene, "application/grpc");
    feed_message(scene, BASE_BODY_UNASKED_BYTES + 1, 0, false);
    must_be(scene, 1, 1, WIRE_DEFECT_UNREAD, 0);
    feed_frame(scene, 0, 1, (struct base_bytes){(const uint8_t *)"xyz", 3});
    must_be(scene, 1, 1, WIRE_DEFECT_UNREAD, 0);
}

static void a_message_that_is_admitted_is_read(void **state)
{
    struct scene *scene = *state;
    scene->admits = true;
    feed_headers(scene, "application/grpc");
    feed_message(scene, BASE_BODY_UNASKED_BYTES + 1, BASE_BODY_UNASKED_BYTES, false);
    feed_frame(scene, 0, 1, (struct base_bytes){(const uint8_t *)"x", 1});
    must_be(scene, 1, 1, WIRE_DEFECT_NONE, BASE_BODY_UNASKED_BYTES + 1);
}

static void a_body_over_http2_is_read_until_it_is_large(void **state)
{
    struct scene *scene = *state;
    feed_headers(scene, "application/json");
    const uint8_t *zeros = base_arena_take_zeroed(&scene->arena, BASE_BODY_UNASKED_BYTES, 1);
    feed_frame(scene, 0, 0, (struct base_bytes){zeros, BASE_BODY_UNASKED_BYTES});
    assert_int_equal(scene->n_asked, 0);
    feed_frame(scene, 0, 0, (struct base_bytes){zeros, 1});
    must_be(scene, 1, 1, WIRE_DEFECT_UNREAD, 0);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SCENE(for_a_small_body_nobody_is_asked),
        IN_SCENE(a_larger_body_that_is_not_admitted_is_answered_before_it_comes),
        IN_SCENE(a_body_that_is_not_admitted_is_not_asked_to_come),
        IN_SCENE(a_larger_body_that_is_admitted_is_read),
        IN_SCENE(a_body_too_large_that_is_not_admitted_is_told_so_first),
        IN_SCENE(a_body_in_chunks_is_read_until_it_is_large),
        IN_SCENE(for_a_small_message_nobody_is_asked),
        IN_SCENE(a_message_that_is_not_admitted_is_answered_by_its_length_alone),
        IN_SCENE(a_message_that_is_admitted_is_read),
        IN_SCENE(a_body_over_http2_is_read_until_it_is_large),
    };
    return cmocka_run_group_tests_name("admits", tests, NULL, NULL);
}
