/*
 * A token of the machine's service account, from Google's metadata server: one request of HTTP/1.0,
 * whose answer neither comes in chunks nor leaves the connection open.
 */
#include "net/net.h"
#include "store/spanner/token_sources.h"

#include <jansson.h>
#include <poll.h>
#include <string.h>

#define DEFAULT_PORT "80"
#define PATH "/computeMetadata/v1/instance/service-accounts/default/token"

/* --- the exchange --- */

/* Waits for the stream as `events` say. False: the time is up. */
static bool wait_for(const struct net_stream *stream, short events, int64_t until_ns)
{
    int64_t left_ms = (until_ns - base_now_mono_ns(&base_clock_system)) / BASE_NS_PER_MS;
    struct pollfd ready = {.fd = net_stream_descriptor(stream), .events = events};
    return left_ms > 0 && poll(&ready, 1, (int)left_ms) > 0;
}

static bool send_all(struct net_stream *stream, struct base_text text, int64_t until_ns)
{
    struct base_bytes left = base_bytes_of(text);
    while (left.length > 0) {
        size_t length;
        enum net_result result = net_stream_send(stream, left, &length);
        if (result != NET_DONE && (result != NET_WAIT || !wait_for(stream, POLLOUT, until_ns))) {
            return false;
        }
        left.bytes += length;
        left.length -= length;
    }
    return true;
}

/* All that comes until the peer ends, up to BASE_ACCESS_TOKEN_ANSWER_MAX_BYTES, in the arena.
 * False: the time is up, the connection broke, or more came. */
static bool receive_all(struct net_stream *stream, int64_t until_ns, struct base_arena *arena,
                        struct base_text *ret_answer)
{
    uint8_t *buffer = base_arena_take(arena, BASE_ACCESS_TOKEN_ANSWER_MAX_BYTES + 1);
    size_t length = 0;
    while (length <= BASE_ACCESS_TOKEN_ANSWER_MAX_BYTES) {
        size_t more;
        enum net_result result = net_stream_receive(
            stream, buffer + length, BASE_ACCESS_TOKEN_ANSWER_MAX_BYTES + 1 - length, &more);
        length += more;
        if (result == NET_ENDED) {
            *ret_answer = (struct base_text){(const char *)buffer, length};
            return true;
        }
        if (result == NET_BROKEN || (result == NET_WAIT && !wait_for(stream, POLLIN, until_ns))) {
            return false;
        }
    }
    return false;
}

/* --- what it says --- */

/* Takes a line, without its end, from the front of the text. False: there is no whole one. */
static bool take_line(struct base_text *text, struct base_text *ret_line)
{
    const char *end = memmem(text->bytes, text->length, "\r\n", 2);
    if (end == NULL) {
        return false;
    }
    *ret_line = (struct base_text){text->bytes, (size_t)(end - text->bytes)};
    text->bytes += ret_line->length + 2;
    text->length -= ret_line->length + 2;
    return true;
}

/* The status of the answer, and its body behind the empty line; -1: it is no HTTP. */
static int split_answer(struct base_text answer, struct base_text *ret_body)
{
    struct base_text line;
    int64_t status;
    if (!take_line(&answer, &line) || line.length < 12 ||
        !base_text_starts_with(line, BASE_TEXT("HTTP/1.")) ||
        !base_text_to_int64((struct base_text){line.bytes + 9, 3}, &status)) {
        return -1;
    }
    do {
        if (!take_line(&answer, &line)) {
            return -1;
        }
    } while (line.length > 0);
    *ret_body = answer;
    return (int)status;
}

/* Whether the body is a token in JSON, as Google's server gives it. */
static bool read_token(struct base_text body, struct base_arena *arena,
                       struct spanner_token *ret_token)
{
    json_error_t error;
    json_t *json = json_loadb(body.bytes, body.length, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL && json_error_code(&error) == json_error_out_of_memory) {
        base_stop("out of memory (for a token)");
    }
    struct base_text token = base_text_of(json_string_value(json_object_get(json, "access_token")));
    struct base_text type = base_text_of(json_string_value(json_object_get(json, "token_type")));
    json_int_t lifetime_s = json_integer_value(json_object_get(json, "expires_in"));
    /* It becomes a header's value: nothing in it may end the header. */
    bool is_token = token.length > 0 && token.length <= BASE_ACCESS_TOKEN_MAX_BYTES &&
                    base_text_is_printable_ascii(token) &&
                    base_text_equal_ignoring_case(type, BASE_TEXT("Bearer")) && lifetime_s > 0 &&
                    lifetime_s <= BASE_ACCESS_TOKEN_LIFETIME_MAX_S;
    if (is_token) {
        *ret_token = (struct spanner_token){base_arena_text(arena, token), lifetime_s};
    }
    json_decref(json);
    return is_token;
}

/* The token of an answer. What is wrong with it otherwise, in the arena; NULL: nothing. */
static const char *judge(struct base_text answer, struct base_arena *arena,
                         struct spanner_token *ret_token)
{
    struct base_text body;
    int status = split_answer(answer, &body);
    if (status < 0) {
        return "does not speak HTTP";
    }
    if (status == 404) {
        return "knows no service account of this machine (status 404): give it one, or name a key "
               "file in GOOGLE_APPLICATION_CREDENTIALS";
    }
    if (status != 200) {
        return base_arena_print(arena, "answered with status %d", status).bytes;
    }
    return read_token(body, arena, ret_token) ? NULL : "answered with no token that can be used";
}

bool spanner_metadata_fetch(struct base_text host, struct base_arena *arena,
                            struct spanner_token *ret_token, struct base_text *ret_message)
{
    struct base_text name;
    uint16_t port;
    struct base_text address =
        net_split_address(host, &name, &port)
            ? host
            : base_arena_print(arena, "%.*s:" DEFAULT_PORT, BASE_TEXT_ARGS(host));
    int64_t until_ns =
        base_now_mono_ns(&base_clock_system) + BASE_ACCESS_TOKEN_TIMEOUT_MS * BASE_NS_PER_MS;
    struct net_destination destination = {.address = address,
                                          .timeout_ms = BASE_ACCESS_TOKEN_TIMEOUT_MS};
    struct base_text why;
    struct net_stream *stream = net_dial(&destination, arena, &why);
    if (stream == NULL) {
        *ret_message = base_arena_print(
            arena,
            "no token from the metadata server (%.*s): outside of Google Cloud, name a service "
            "account's key file in GOOGLE_APPLICATION_CREDENTIALS",
            BASE_TEXT_ARGS(why));
        return false;
    }
    struct base_text request =
        base_arena_print(arena,
                         "GET " PATH " HTTP/1.0\r\nHost: %.*s\r\nMetadata-Flavor: Google\r\n"
                         "Connection: close\r\n\r\n",
                         BASE_TEXT_ARGS(host));
    struct base_text answer;
    bool has_answered =
        send_all(stream, request, until_ns) && receive_all(stream, until_ns, arena, &answer);
    net_stream_close(stream);
    if (!has_answered) {
        *ret_message = base_arena_print(
            arena, "the metadata server at %.*s did not answer in full within %d ms and %d bytes",
            BASE_TEXT_ARGS(address), BASE_ACCESS_TOKEN_TIMEOUT_MS,
            BASE_ACCESS_TOKEN_ANSWER_MAX_BYTES);
        return false;
    }
    const char *wrong = judge(answer, arena, ret_token);
    if (wrong != NULL) {
        *ret_message = base_arena_print(arena, "the metadata server at %.*s %s",
                                        BASE_TEXT_ARGS(address), wrong);
    }
    return wrong == NULL;
}
