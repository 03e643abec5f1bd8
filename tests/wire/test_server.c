/* wire: a session tells its protocol by the first bytes, however they come; and what both protocols
 * read alike. */
#include "http2_peer.h"
#include "wire/protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define SETTINGS "\0\0\0\4\0\0\0\0\0"

static void on_request(void *user, uint32_t stream, struct wire_request *request)
{
    struct wire_server **server = user;
    struct base_text path = request->path;
    bool refused = request->defect == WIRE_DEFECT_REFUSED;
    wire_server_reply(
        *server, stream,
        &(struct wire_reply){.http_status = refused ? request->refusal.http_status : 200,
                             .body = base_bytes_of(path)});
    wire_request_release(request);
}

static void on_cancelled(void *user, uint32_t stream)
{
    (void)user;
    (void)stream;
}

static const struct wire_server_events events = {.request = on_request, .cancelled = on_cancelled};

/* Whether the session took it all. What it sent is added to output. */
static bool feed(struct wire_server *server, struct base_text text, size_t piece_size,
                 struct base_writer *output)
{
    bool open = true;
    for (size_t at = 0; at < text.length && open; at += piece_size) {
        size_t piece = text.length - at < piece_size ? text.length - at : piece_size;
        open =
            wire_server_receive(server, base_bytes_of((struct base_text){text.bytes + at, piece}));
        uint8_t buffer[512];
        size_t sent;
        while ((sent = wire_server_send(server, buffer, sizeof buffer)) > 0) {
            base_write_bytes(output, (struct base_bytes){buffer, sent});
        }
    }
    return open;
}

static void the_first_bytes_tell_the_protocol(void **state)
{
    (void)state;
    static const struct {
        struct base_text input;
        struct base_text output; /* begins so */
        bool open;
    } rows[] = {
        /* HTTP/2 answers its preface with a SETTINGS frame (type 4). */
        {{PREFACE SETTINGS, sizeof(PREFACE SETTINGS) - 1}, {"\0\0", 2}, true},
        {{"GET /a HTTP/1.1\r\nHost: h\r\n\r\n", 28}, {"HTTP/1.1 200 ", 13}, true},
        {{"POST /a HTTP/1.1\r\nHost: h\r\n\r\n", 29}, {"HTTP/1.1 200 ", 13}, true},
        /* What only begins like the preface is HTTP/1.1, and read from its first byte. */
        {{"PRI /a HTTP/1.1\r\nHost: h\r\n\r\n", 28}, {"HTTP/1.1 200 ", 13}, true},
        {{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r", 24}, {"HTTP/1.1 505 ", 13}, false},
        {{"PRI * HTTP/1.1\r\nHost: h\r\n\r\n", 27}, {"HTTP/1.1 400 ", 13}, false},
        {{"\x16\x03\x01", 3}, {"HTTP/1.1 400 ", 13}, false},
        {{"PRI * HTTP/2.0\r\n", 16}, {"", 0}, true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t piece_size = 1; piece_size <= 32; piece_size++) {
            struct wire_server *server = NULL;
            server = wire_server_open(&events, &server);
            struct base_writer output = {NULL, 0, 0};
            assert_int_equal(feed(server, rows[i].input, piece_size, &output), rows[i].open);
            struct base_text sent = base_text_from(base_writer_bytes(&output));
            assert_true(base_text_starts_with(sent, rows[i].output));
            assert_true(rows[i].output.length > 0 || sent.length == 0);
            wire_server_close(server);
            base_writer_release(&output);
        }
    }
}

static void a_session_that_has_not_told_its_protocol_can_end(void **state)
{
    (void)state;
    struct wire_server *server = wire_server_open(&events, NULL);
    assert_false(wire_server_half_received(server));
    assert_true(wire_server_receive(server, base_bytes_of(BASE_TEXT("PRI"))));
    assert_true(wire_server_half_received(server));
    assert_int_equal(wire_server_open_requests(server), 0);
    assert_int_equal(wire_server_held_bytes(server), 0);
    assert_false(wire_server_finished(server));
    assert_false(wire_server_receive_end(server));
    assert_true(wire_server_finished(server));
    assert_false(wire_server_receive(server, base_bytes_of(BASE_TEXT("GET"))));
    wire_server_close(server);

    server = wire_server_open(&events, NULL);
    wire_server_drain(server);
    assert_true(wire_server_finished(server));
    wire_server_close(server);
}

static void a_request_half_received_keeps_its_number_and_the_next_has_another(void **state)
{
    (void)state;
    struct wire_server *server = NULL;
    server = wire_server_open(&events, &server);
    struct base_writer output = {NULL, 0, 0};
    assert_true(feed(server, BASE_TEXT("P"), 1, &output));
    uint32_t first = wire_server_half_received(server);
    assert_int_not_equal(first, 0);
    assert_true(feed(server, BASE_TEXT("OST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\na"),
                     1, &output));
    assert_int_equal(wire_server_half_received(server), first);
    assert_true(feed(server, BASE_TEXT("b"), 1, &output));
    assert_int_equal(wire_server_half_received(server), 0);
    assert_true(feed(server, BASE_TEXT("POST"), 1, &output));
    assert_int_not_equal(wire_server_half_received(server), 0);
    assert_int_not_equal(wire_server_half_received(server), first);
    wire_server_close(server);
    base_writer_release(&output);
}

/* Else one that stalls could hide behind others that come and go. */
static void of_several_half_received_the_oldest_is_told(void **state)
{
    (void)state;
    static const char fields[] =
        ":method: POST\n:scheme: http\n:authority: h\n:path: /a\ncontent-type: application/grpc\n";
    static const uint8_t message[] = {0, 0, 0, 0, 0};
    struct base_bytes whole = {message, sizeof message};
    struct wire_server *server = NULL;
    server = wire_server_open(&events, &server);
    struct peer peer;
    peer_open_client(&peer);
    int32_t stalled = peer_request(&peer, fields, whole, false);
    (void)peer_request(&peer, fields, whole, true);
    int32_t second = peer_request(&peer, fields, whole, false);
    assert_true(pump_server(server, &peer, 4096));
    assert_int_equal(wire_server_half_received(server), stalled);
    nghttp2_submit_rst_stream(peer.session, 0, stalled, NGHTTP2_CANCEL);
    assert_true(pump_server(server, &peer, 4096));
    assert_int_equal(wire_server_half_received(server), second);
    wire_server_close(server);
    peer_close(&peer);
}

static void a_shutdown_notice_reaches_the_protocol_that_is_told_later(void **state)
{
    (void)state;
    struct wire_server *server = NULL;
    server = wire_server_open(&events, &server);
    wire_server_shutdown_notice(server);
    struct base_writer output = {NULL, 0, 0};
    assert_false(feed(server, BASE_TEXT("GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET"), 1, &output));
    assert_non_null(memmem(output.bytes, output.length, "connection: close", 17));
    assert_true(wire_server_finished(server));
    wire_server_close(server);
    base_writer_release(&output);
}

static void a_content_type_is_split_from_its_parameters(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *type;
        const char *parameters;
    } rows[] = {
        {"application/json", "application/json", ""},
        {"Application/GRPC+Proto", "application/grpc+proto", ""},
        {"application/json;charset=UTF-8", "application/json", "charset=UTF-8"},
        {"application/json \t; a=B ; c", "application/json", "a=B ; c"},
        {"application/json;", "application/json", ""},
        {";a", "", "a"},
        {"", "", ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct wire_request *request = wire_request_open();
        wire_request_set_content_type(request, base_text_of(rows[i].value));
        assert_true(base_text_equal(request->content_type, base_text_of(rows[i].type)));
        assert_true(
            base_text_equal(request->content_type_parameters, base_text_of(rows[i].parameters)));
        wire_request_release(request);
    }
}

static void a_request_gives_the_first_header_of_a_name(void **state)
{
    (void)state;
    static const struct wire_header headers[] = {
        {{"a", 1}, {"1", 1}},
        {{"b", 1}, {"", 0}},
        {{"a", 1}, {"2", 1}},
    };
    struct wire_request *request = wire_request_open();
    request->headers = headers;
    request->n_headers = COUNT(headers);
    assert_true(base_text_equal(wire_request_header(request, BASE_TEXT("a")), BASE_TEXT("1")));
    assert_non_null(wire_request_header(request, BASE_TEXT("b")).bytes);
    assert_null(wire_request_header(request, BASE_TEXT("c")).bytes);
    wire_request_release(request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_bytes_tell_the_protocol),
        cmocka_unit_test(a_session_that_has_not_told_its_protocol_can_end),
        cmocka_unit_test(a_request_half_received_keeps_its_number_and_the_next_has_another),
        cmocka_unit_test(of_several_half_received_the_oldest_is_told),
        cmocka_unit_test(a_shutdown_notice_reaches_the_protocol_that_is_told_later),
        cmocka_unit_test(a_content_type_is_split_from_its_parameters),
        cmocka_unit_test(a_request_gives_the_first_header_of_a_name),
    };
    return cmocka_run_group_tests_name("wire server", tests, NULL, NULL);
}
