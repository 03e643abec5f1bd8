/* The head of an HTTP/1.1 request: request line and header fields (RFC 9112, sections 3 to 6). */
#include "wire/http1.h"

#include <string.h>

/* Digits of a Content-Length: more than a body may have, and no overflow. */
#define CONTENT_LENGTH_MAX_DIGITS 18
/* Bytes of a method: the longest that is registered has 17. */
#define METHOD_MAX_BYTES 32

static bool refuse(int http_status, const char *message, struct wire_http1_refusal *ret_refusal)
{
    *ret_refusal = (struct wire_http1_refusal){http_status, message};
    return false;
}

/* --- tokens --- */

static bool is_token_byte(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= 'a' && byte <= 'z') ||
           (byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

static bool is_token(struct base_text text)
{
    for (size_t i = 0; i < text.length; i++) {
        if (!is_token_byte(text.bytes[i])) {
            return false;
        }
    }
    return text.length > 0;
}

/* --- where the head ends --- */

/* Whether the byte at `i`, and what stands before it, can still become a request's method. Behind
 * the method, and behind the first METHOD_MAX_BYTES, it is not asked. */
static bool can_be_method(struct base_bytes bytes, size_t i)
{
    if (i > METHOD_MAX_BYTES || bytes.bytes[i] <= ' ' || memchr(bytes.bytes, ' ', i) != NULL) {
        return true;
    }
    return i < METHOD_MAX_BYTES && is_token_byte((char)bytes.bytes[i]);
}

enum wire_http1_progress wire_http1_scan_head(struct base_bytes bytes, size_t *scanned,
                                              struct wire_http1_refusal *ret_refusal)
{
    for (size_t i = *scanned; i < bytes.length; i++) {
        if (i >= BASE_HEADERS_MAX_BYTES) {
            refuse(431, "the request's head is larger than 16 KiB", ret_refusal);
            return WIRE_HTTP1_REFUSED;
        }
        uint8_t byte = bytes.bytes[i];
        bool after_return = i > 0 && bytes.bytes[i - 1] == '\r';
        if (after_return != (byte == '\n')) {
            refuse(400, "every line of a request's head ends with CRLF", ret_refusal);
            return WIRE_HTTP1_REFUSED;
        }
        if ((byte < 0x20 && byte != '\t' && byte != '\r' && byte != '\n') || byte == 0x7F) {
            refuse(400, "a control character in the request's head", ret_refusal);
            return WIRE_HTTP1_REFUSED;
        }
        /* Looked at here already, so that whoever speaks something else, and waits for an answer
         * without ever ending a line, gets one at once. */
        if (!can_be_method(bytes, i)) {
            refuse(400, "the request's method is malformed", ret_refusal);
            return WIRE_HTTP1_REFUSED;
        }
        /* Every LF stands behind a CR, so an empty line is two LFs that are two bytes apart. */
        if (byte == '\n' && (i < 2 || bytes.bytes[i - 2] == '\n')) {
            *scanned = i + 1;
            return WIRE_HTTP1_DONE;
        }
    }
    *scanned = bytes.length;
    return WIRE_HTTP1_MORE;
}

/* --- text --- */

static bool is_field_value(struct base_text text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.bytes[i];
        if ((byte < 0x20 && byte != '\t') || byte == 0x7F) {
            return false;
        }
    }
    return true;
}

/* What stands in front of `separator`; *text goes on behind it. Without one: all of it. */
static struct base_text take_until(struct base_text *text, char separator)
{
    struct base_text taken = *text;
    const char *found = text->length > 0 ? memchr(text->bytes, separator, text->length) : NULL;
    if (found == NULL) {
        *text = (struct base_text){text->bytes + text->length, 0};
        return taken;
    }
    taken.length = (size_t)(found - text->bytes);
    text->bytes += taken.length + 1;
    text->length -= taken.length + 1;
    return taken;
}

/* The next line of a scanned head, without its CRLF. */
static struct base_text take_line(struct base_text *rest)
{
    struct base_text line = take_until(rest, '\n');
    line.length--;
    return line;
}

/* --- the request line --- */

static bool read_target(struct base_text target, struct wire_request *request)
{
    /* A request to a proxy names the whole URI; its host is as good as the Host field's. */
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        struct base_text scheme = base_text_of(schemes[i]);
        if (target.length > scheme.length &&
            base_text_equal_ignoring_case((struct base_text){target.bytes, scheme.length},
                                          scheme)) {
            target.bytes += scheme.length;
            target.length -= scheme.length;
            while (target.length > 0 && target.bytes[0] != '/' && target.bytes[0] != '?') {
                target.bytes++;
                target.length--;
            }
            if (target.length == 0 || target.bytes[0] == '?') {
                request->path = BASE_TEXT("/");
                (void)take_until(&target, '?');
                request->query = target;
                return true;
            }
            break;
        }
    }
    if (target.length == 0 || target.bytes[0] != '/') {
        return false;
    }
    request->path = take_until(&target, '?');
    request->query = target;
    return true;
}

static bool read_request_line(struct base_text line, struct wire_request *request,
                              struct wire_http1_head *head, struct wire_http1_refusal *ret_refusal)
{
    request->method = take_until(&line, ' ');
    struct base_text target = take_until(&line, ' ');
    struct base_text version = line;
    if (!is_token(request->method)) {
        return refuse(400, "the request's method is malformed", ret_refusal);
    }
    if (version.length != 8 || !base_text_starts_with(version, BASE_TEXT("HTTP/")) ||
        version.bytes[5] < '0' || version.bytes[5] > '9' || version.bytes[6] != '.' ||
        version.bytes[7] < '0' || version.bytes[7] > '9') {
        return refuse(400, "the request line is malformed", ret_refusal);
    }
    if (version.bytes[5] != '1' || version.bytes[7] > '1') {
        return refuse(505, "only HTTP/1.1, HTTP/1.0 and HTTP/2 are spoken here", ret_refusal);
    }
    if (!base_text_is_printable_ascii(target) || memchr(target.bytes, '#', target.length) != NULL ||
        !read_target(target, request)) {
        return refuse(400, "the request's target is malformed", ret_refusal);
    }
    head->older = version.bytes[7] == '0';
    head->keep_alive = !head->older;
    head->is_head = base_text_equal(request->method, BASE_TEXT("HEAD"));
    return true;
}

/* --- header fields --- */

/* False: the line is no header field. */
static bool split_field(struct base_text line, struct wire_header *ret_field)
{
    if (line.length == 0 || memchr(line.bytes, ':', line.length) == NULL) {
        return false;
    }
    struct base_text name = take_until(&line, ':');
    struct base_text value = wire_trim(line);
    if (!is_token(name) || !is_field_value(value)) {
        return false;
    }
    *ret_field = (struct wire_header){name, value};
    return true;
}

bool wire_http1_is_field(struct base_text line)
{
    struct wire_header field;
    return split_field(line, &field);
}

/* What is remembered of the fields until all are read. */
struct framing {
    unsigned n_hosts;
    unsigned n_content_lengths;
    unsigned n_content_types;
    unsigned n_timeouts;
    unsigned n_codings; /* transfer codings, in their order */
    unsigned n_chunked; /* how many of them are chunked */
    bool chunked_is_last;
    bool close;
};

static bool read_host(struct base_text value, struct framing *framing,
                      struct wire_http1_refusal *ret_refusal)
{
    framing->n_hosts++;
    for (size_t i = 0; i < value.length; i++) {
        unsigned char byte = (unsigned char)value.bytes[i];
        if (byte <= 0x20 || byte >= 0x7F || strchr("/\\?#@,\"<>", byte) != NULL) {
            return refuse(400, "the Host field is malformed", ret_refusal);
        }
    }
    return true;
}

static bool read_content_length(struct base_text value, struct framing *framing,
                                struct wire_http1_head *head,
                                struct wire_http1_refusal *ret_refusal)
{
    framing->n_content_lengths++;
    if (value.length == 0 || value.length > CONTENT_LENGTH_MAX_DIGITS) {
        return refuse(400, "the Content-Length field is malformed", ret_refusal);
    }
    uint64_t length = 0;
    for (size_t i = 0; i < value.length; i++) {
        if (value.bytes[i] < '0' || value.bytes[i] > '9') {
            return refuse(400, "the Content-Length field is malformed", ret_refusal);
        }
        length = length * 10 + (uint64_t)(value.bytes[i] - '0');
    }
    head->content_length = length;
    return true;
}

static void read_transfer_encoding(struct base_text value, struct framing *framing)
{
    do {
        struct base_text coding = wire_trim(take_until(&value, ','));
        framing->n_codings++;
        framing->chunked_is_last = base_text_equal_ignoring_case(coding, BASE_TEXT("chunked"));
        framing->n_chunked += framing->chunked_is_last ? 1 : 0;
    } while (value.length > 0);
}

static void read_connection(struct base_text value, struct framing *framing,
                            struct wire_http1_head *head)
{
    while (value.length > 0) {
        struct base_text option = wire_trim(take_until(&value, ','));
        if (base_text_equal_ignoring_case(option, BASE_TEXT("close"))) {
            framing->close = true;
        } else if (base_text_equal_ignoring_case(option, BASE_TEXT("keep-alive"))) {
            head->keep_alive = true;
        }
    }
}

static bool read_expect(struct base_text value, struct wire_http1_head *head,
                        struct wire_http1_refusal *ret_refusal)
{
    if (!base_text_equal_ignoring_case(value, BASE_TEXT("100-continue"))) {
        return refuse(417, "the only expectation that is met is 100-continue", ret_refusal);
    }
    /* A client of HTTP/1.0 would take a 100 for the answer. */
    head->expects_continue = !head->older;
    return true;
}

static void read_timeout(struct base_text value, struct framing *framing,
                         struct wire_request *request)
{
    if (framing->n_timeouts++ > 0 || !wire_parse_connect_timeout(value, &request->timeout_ns)) {
        request->timeout_ns = -1;
        request->defect = WIRE_DEFECT_TIMEOUT;
    }
}

static bool read_content_type(struct base_text value, struct framing *framing,
                              struct wire_request *request, struct wire_http1_refusal *ret_refusal)
{
    if (framing->n_content_types++ > 0) {
        return refuse(400, "more than one Content-Type field", ret_refusal);
    }
    wire_request_set_content_type(request, value);
    return true;
}

/* Fields that are about this connection, or that the request has a place for, are read here; the
 * others go up. */
static bool read_field(const struct wire_header *field, struct framing *framing,
                       struct wire_request *request, struct wire_http1_head *head,
                       bool *ret_goes_up, struct wire_http1_refusal *ret_refusal)
{
    struct base_text name = field->name;
    *ret_goes_up = false;
    if (base_text_equal(name, BASE_TEXT("host"))) {
        return read_host(field->value, framing, ret_refusal);
    }
    if (base_text_equal(name, BASE_TEXT("content-length"))) {
        return read_content_length(field->value, framing, head, ret_refusal);
    }
    if (base_text_equal(name, BASE_TEXT("transfer-encoding"))) {
        read_transfer_encoding(field->value, framing);
        return true;
    }
    if (base_text_equal(name, BASE_TEXT("connection"))) {
        read_connection(field->value, framing, head);
        return true;
    }
    if (base_text_equal(name, BASE_TEXT("expect"))) {
        return read_expect(field->value, head, ret_refusal);
    }
    if (base_text_equal(name, BASE_TEXT("connect-timeout-ms"))) {
        read_timeout(field->value, framing, request);
        return true;
    }
    if (base_text_equal(name, BASE_TEXT("content-type"))) {
        return read_content_type(field->value, framing, request, ret_refusal);
    }
    *ret_goes_up = true;
    return true;
}

/* Where the body ends: told once and in one way, or not at all (RFC 9112, section 6.3). */
static bool settle_framing(const struct framing *framing, struct wire_http1_head *head,
                           struct wire_http1_refusal *ret_refusal)
{
    if (framing->n_hosts > 1 || (framing->n_hosts == 0 && !head->older)) {
        return refuse(400, "a request has one Host field", ret_refusal);
    }
    if (framing->n_content_lengths > 1) {
        return refuse(400, "more than one Content-Length field", ret_refusal);
    }
    if (framing->n_codings > 0) {
        if (framing->n_content_lengths > 0) {
            return refuse(400, "both Content-Length and Transfer-Encoding", ret_refusal);
        }
        if (head->older) {
            return refuse(400, "HTTP/1.0 has no Transfer-Encoding", ret_refusal);
        }
        if (framing->n_chunked > 1 || (framing->n_chunked == 1 && !framing->chunked_is_last)) {
            return refuse(400, "chunked is the last transfer coding, once", ret_refusal);
        }
        if (framing->n_codings > 1 || framing->n_chunked == 0) {
            return refuse(501, "the only transfer coding is chunked", ret_refusal);
        }
        head->chunked = true;
    }
    if (framing->close) {
        head->keep_alive = false;
    }
    return true;
}

static size_t count_lines(struct base_text text)
{
    size_t n_lines = 0;
    for (size_t i = 0; i < text.length; i++) {
        n_lines += text.bytes[i] == '\n' ? 1 : 0;
    }
    return n_lines;
}

bool wire_http1_read_head(struct base_bytes bytes, struct wire_request *request,
                          struct wire_http1_head *ret_head, struct wire_http1_refusal *ret_refusal)
{
    char *memory = base_arena_take(&request->arena, bytes.length);
    memcpy(memory, bytes.bytes, bytes.length);
    struct base_text rest = {memory, bytes.length};
    struct wire_http1_head head = {0};
    if (!read_request_line(take_line(&rest), request, &head, ret_refusal)) {
        return false;
    }
    struct wire_header *headers =
        base_arena_take(&request->arena, count_lines(rest) * sizeof *headers);
    struct framing framing = {0};
    for (struct base_text line = take_line(&rest); line.length > 0; line = take_line(&rest)) {
        struct wire_header field;
        if (!split_field(line, &field)) {
            return refuse(400, "a header field is malformed", ret_refusal);
        }
        wire_lower_case(memory + (field.name.bytes - memory), field.name.length);
        bool goes_up;
        if (!read_field(&field, &framing, request, &head, &goes_up, ret_refusal)) {
            return false;
        }
        if (goes_up) {
            headers[request->n_headers++] = field;
        }
    }
    request->headers = headers;
    if (!settle_framing(&framing, &head, ret_refusal)) {
        return false;
    }
    *ret_head = head;
    return true;
}
