/* wire: a session of HTTP/1.1 whose answers come late, whose peer does not read or closes its side,
 * and that is shut down. */
#include "http1_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_peer_that_waits_for_a_100_gets_it_before_its_body(void **state)
{
    (void)state;
    struct http1_peer peer;
    http1_open(&peer, true);
    http1_feed(&peer, BASE_TEXT(POST "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n"), 0);
    http1_assert_written(&peer, &peer.output, BASE_TEXT("HTTP/1.1 100 Continue\r\n\r\n"));
    assert_true(wire_http1.half_received(peer.state));
    http1_feed(&peer, BASE_TEXT("hi"), 0);
    http1_assert_written(&peer, &peer.requests, BASE_TEXT("POST /p [hi]\n"));
    http1_assert_written(&peer, &peer.output, BASE_TEXT("HTTP/1.1 100 Continue\r\n\r\n" ANSWER));
    http1_close(&peer);

    /* No 100 for what has come already, or for a body of nothing. */
    http1_open(&peer, true);
    http1_feed(&peer,
               BASE_TEXT(POST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi" POST
                              "Expect: 100-continue\r\n\r\n"),
               0);
    http1_assert_written(&peer, &peer.output, BASE_TEXT(ANSWER ANSWER));
    http1_close(&peer);
}

static void the_next_request_waits_for_the_answer_to_the_one_before(void **state)
{
    (void)state;
    struct http1_peer peer;
    http1_open(&peer, false);
    http1_feed(&peer,
               BASE_TEXT("GET /a HTTP/1.1\r\n" HOST "\r\nGET /b HTTP/1.1\r\n" HOST
                         "\r\nGET /c HTTP/1.1\r\n"),
               0);
    http1_assert_written(&peer, &peer.requests, BASE_TEXT("GET /a\n"));
    assert_int_equal(wire_http1.open_requests(peer.state), 1);
    assert_false(wire_http1.half_received(peer.state));

    http1_answer(&peer, peer.last_stream + 1); /* nobody has asked */
    http1_answer(&peer, peer.last_stream);
    http1_answer(&peer, peer.last_stream); /* once is enough */
    http1_assert_written(&peer, &peer.requests, BASE_TEXT("GET /a\n"));
    http1_collect(&peer);
    http1_assert_written(&peer, &peer.requests, BASE_TEXT("GET /a\nGET /b\n"));
    http1_assert_written(&peer, &peer.output, BASE_TEXT(ANSWER));

    http1_answer(&peer, peer.last_stream);
    http1_collect(&peer);
    http1_assert_written(&peer, &peer.output, BASE_TEXT(ANSWER ANSWER));
    assert_true(wire_http1.half_received(peer.state));
    http1_feed(&peer, BASE_TEXT(HOST "\r\n"), 0);
    http1_assert_written(&peer, &peer.requests, BASE_TEXT("GET /a\nGET /b\nGET /c\n"));
    http1_close(&peer);
}

static void a_peer_that_reads_no_answers_is_handed_up_no_further(void **state)
{
    (void)state;
    struct http1_peer peer;
    http1_open(&peer, true);
    for (int i = 0; i < 1000; i++) {
        struct base_bytes request = base_bytes_of(BASE_TEXT("GET / HTTP/1.1\r\n" HOST "\r\n"));
        assert_true(wire_http1.receive(peer.state, request));
    }
    assert_int_equal(peer.n_requests, 1);
    http1_collect(&peer);
    assert_int_equal(peer.n_requests, 1000);
    assert_int_equal(http1_count(&peer.output, ANSWER), 1000);
    assert_int_equal(wire_http1.held_bytes(peer.state), 0);
    http1_close(&peer);
}

static void what_waits_behind_a_request_is_bounded(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    size_t max = BASE_HEADERS_MAX_BYTES + BASE_REQUEST_MAX_BYTES;
    for (size_t beyond = 0; beyond < 2; beyond++) {
        struct http1_peer peer;
        http1_open(&peer, false);
        http1_feed(&peer, BASE_TEXT("GET /a HTTP/1.1\r\n" HOST "\r\n"), 0);
        http1_feed(&peer, http1_repeated(&arena, "GET /", 'G', max + beyond - 5, ""), 65536);
        assert_true(wire_http1.held_bytes(peer.state) < 3 * max);
        assert_true(peer.open);
        http1_answer(&peer, peer.last_stream);
        http1_collect(&peer);
        if (beyond > 0) {
            /* The answer that was owed, and the end. */
            http1_assert_written(&peer, &peer.output, BASE_TEXT(LAST_ANSWER));
        } else {
            assert_int_equal(http1_count(&peer.output, "HTTP/1.1 200 "), 1);
            assert_int_equal(http1_count(&peer.output, "HTTP/1.1 431 "), 1);
        }
        assert_true(wire_http1.finished(peer.state));
        assert_int_equal(wire_http1.held_bytes(peer.state), 0);
        http1_close(&peer);
    }
    base_arena_release(&arena);
}

static void a_peer_that_closes_its_side_still_gets_its_answers(void **state)
{
    (void)state;
    static const struct {
        const char *input;
        size_t n_answers;
        bool ends_at_once;
    } rows[] = {
        {"", 0, true},
        {"GET / HTTP/1.1\r\n", 0, true},
        {POST "Content-Length: 5\r\n\r\nhi", 0, true},
        {"GET / HTTP/1.1\r\n" HOST "\r\n", 1, false},
        {"GET / HTTP/1.1\r\n" HOST "\r\nGET / HTTP/1.1\r\n" HOST "\r\nGET", 2, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct http1_peer peer;
        http1_open(&peer, false);
        http1_feed(&peer, base_text_of(rows[i].input), 0);
        assert_int_equal(wire_http1.receive_end(peer.state), !rows[i].ends_at_once);
        for (size_t n = 0; n < rows[i].n_answers; n++) {
            assert_false(wire_http1.finished(peer.state));
            http1_answer(&peer, peer.last_stream);
            http1_collect(&peer);
        }
        assert_int_equal(http1_count(&peer.output, ANSWER), rows[i].n_answers);
        assert_int_equal(peer.n_requests, rows[i].n_answers);
        assert_true(wire_http1.finished(peer.state));
        http1_close(&peer);
    }
}

static void a_shutdown_answers_what_is_under_way_and_says_close(void **state)
{
    (void)state;
    struct http1_peer peer;
    http1_open(&peer, false);
    http1_feed(&peer, BASE_TEXT("GET /a HTTP/1.1\r\n" HOST "\r\n"), 0);
    wire_http1.shutdown_notice(peer.state);
    wire_http1.drain(peer.state);
    assert_false(wire_http1.finished(peer.state));
    http1_answer(&peer, peer.last_stream);
    assert_false(wire_http1.finished(peer.state));
    http1_collect(&peer);
    http1_assert_written(&peer, &peer.output, BASE_TEXT(LAST_ANSWER));
    assert_true(wire_http1.finished(peer.state));
    http1_close(&peer);
}

static void a_shutdown_takes_a_request_after_the_notice_and_none_after_the_drain(void **state)
{
    (void)state;
    struct http1_peer peer;
    http1_open(&peer, true);
    wire_http1.shutdown_notice(peer.state);
    assert_false(wire_http1.finished(peer.state));
    http1_feed(&peer, BASE_TEXT("GET /a HTTP/1.1\r\n" HOST "\r\n"), 0);
    http1_assert_written(&peer, &peer.output, BASE_TEXT(LAST_ANSWER));
    assert_true(wire_http1.finished(peer.state));
    http1_close(&peer);

    http1_open(&peer, true);
    wire_http1.drain(peer.state);
    assert_true(wire_http1.finished(peer.state));
    http1_close(&peer);

    /* What has begun may be completed. */
    http1_open(&peer, true);
    http1_feed(&peer, BASE_TEXT("GET /a HTTP/1.1\r\n"), 0);
    wire_http1.drain(peer.state);
    assert_false(wire_http1.finished(peer.state));
    http1_feed(&peer, BASE_TEXT(HOST "\r\n"), 0);
    http1_assert_written(&peer, &peer.output, BASE_TEXT(LAST_ANSWER));
    assert_true(wire_http1.finished(peer.state));
    http1_close(&peer);
}

static void a_binary_header_of_an_answer_goes_out_in_base64(void **state)
{
    (void)state;
    static const struct wire_header headers[] = {{{"x-details-bin", 13}, {"h\r\ni", 4}}};
    struct http1_peer peer;
    http1_open(&peer, false);
    http1_feed(&peer, BASE_TEXT("GET /a HTTP/1.1\r\n" HOST "\r\n"), 0);
    struct wire_reply reply = {.http_status = 200,
                               .content_type = BASE_TEXT("application/json"),
                               .n_headers = 1,
                               .headers = headers};
    wire_http1.reply(peer.state, peer.last_stream, &reply);
    http1_collect(&peer);
    assert_true(http1_has(&peer.output, "\r\nx-details-bin: aA0KaQ\r\n"));
    http1_close(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_that_waits_for_a_100_gets_it_before_its_body),
        cmocka_unit_test(the_next_request_waits_for_the_answer_to_the_one_before),
        cmocka_unit_test(a_peer_that_reads_no_answers_is_handed_up_no_further),
        cmocka_unit_test(what_waits_behind_a_request_is_bounded),
        cmocka_unit_test(a_peer_that_closes_its_side_still_gets_its_answers),
        cmocka_unit_test(a_shutdown_answers_what_is_under_way_and_says_close),
        cmocka_unit_test(a_shutdown_takes_a_request_after_the_notice_and_none_after_the_drain),
        cmocka_unit_test(a_binary_header_of_an_answer_goes_out_in_base64),
    };
    return cmocka_run_group_tests_name("wire http1 conduct", tests, NULL, NULL);
}
