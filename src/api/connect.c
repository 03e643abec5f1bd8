#include "api/connect.h"

#include "api/codec.h"

#include <string.h>

static bool refuse(int http_status, struct base_text message, struct base_text allow,
                   struct api_connect_refusal *ret_refusal)
{
    *ret_refusal = (struct api_connect_refusal){http_status, message, allow};
    return false;
}

struct base_text api_connect_content_type(enum api_form form)
{
    return form == API_FORM_JSON ? BASE_TEXT("application/json") : BASE_TEXT("application/proto");
}

/* --- POST --- */

/* JSON is UTF-8, so a parameter may say only that. */
static bool is_json(const struct wire_request *request)
{
    struct base_text parameters = request->content_type_parameters;
    return base_text_equal(request->content_type, BASE_TEXT("application/json")) &&
           (parameters.length == 0 ||
            base_text_equal_ignoring_case(parameters, BASE_TEXT("charset=utf-8")) ||
            base_text_equal_ignoring_case(parameters, BASE_TEXT("charset=\"utf-8\"")));
}

static bool is_protobuf(const struct wire_request *request)
{
    return base_text_equal(request->content_type, BASE_TEXT("application/proto")) &&
           request->content_type_parameters.length == 0;
}

static bool is_identity(struct base_text encoding)
{
    return encoding.length == 0 || base_text_equal_ignoring_case(encoding, BASE_TEXT("identity"));
}

static bool read_post(const struct wire_request *request, enum api_form *ret_form,
                      struct base_bytes *ret_message, struct api_connect_refusal *ret_refusal)
{
    bool json = is_json(request);
    if ((!json && !is_protobuf(request)) ||
        !is_identity(wire_request_header(request, BASE_TEXT("content-encoding")))) {
        return refuse(415,
                      BASE_TEXT("the body must be application/json in UTF-8 or application/proto, "
                                "not compressed"),
                      BASE_TEXT(""), ret_refusal);
    }
    *ret_form = json ? API_FORM_JSON : API_FORM_PROTOBUF;
    *ret_message = request->body;
    return true;
}

/* --- GET --- */

/* A value of a query, decoded: %XX, and + for a space as forms write it. False: malformed. */
static bool decode_value(struct base_arena *arena, struct base_text value,
                         struct base_text *ret_decoded)
{
    char *decoded = base_arena_take(arena, value.length + 1);
    size_t length = 0;
    for (size_t i = 0; i < value.length; i++) {
        char byte = value.bytes[i];
        if (byte == '+') {
            byte = ' ';
        } else if (byte == '%') {
            uint8_t escaped;
            if (value.length - i <= 2 ||
                !base_hex_decode((struct base_text){value.bytes + i + 1, 2}, 1, &escaped)) {
                return false;
            }
            byte = (char)escaped;
            i += 2;
        }
        decoded[length++] = byte;
    }
    *ret_decoded = (struct base_text){decoded, length};
    return true;
}

/* The parameters of a query that mean something here. */
enum parameter { CONNECT, ENCODING, MESSAGE, BASE64, COMPRESSION, N_PARAMETERS };
static const char *const parameter_names[N_PARAMETERS] = {"connect", "encoding", "message",
                                                          "base64", "compression"};

/* Reads `name=value&…`. What has another name is passed over. False: malformed, or a name twice. */
static bool read_query(struct base_arena *arena, struct base_text query,
                       struct base_text ret_values[N_PARAMETERS])
{
    bool given[N_PARAMETERS] = {false};
    while (query.length > 0) {
        const char *end = memchr(query.bytes, '&', query.length);
        size_t length = end == NULL ? query.length : (size_t)(end - query.bytes);
        const char *equals = length > 0 ? memchr(query.bytes, '=', length) : NULL;
        size_t name_length = equals == NULL ? length : (size_t)(equals - query.bytes);
        struct base_text name = {query.bytes, name_length};
        struct base_text value = {query.bytes + name_length + (equals == NULL ? 0 : 1),
                                  length - name_length - (equals == NULL ? 0 : 1)};
        for (size_t i = 0; i < N_PARAMETERS; i++) {
            if (!base_text_equal(name, base_text_of(parameter_names[i]))) {
                continue;
            }
            if (given[i] || !decode_value(arena, value, &ret_values[i])) {
                return false;
            }
            given[i] = true;
        }
        size_t taken = length < query.length ? length + 1 : length;
        query = (struct base_text){query.bytes + taken, query.length - taken};
    }
    return given[ENCODING] && given[MESSAGE];
}

static bool read_get(const struct wire_request *request, struct base_arena *arena,
                     enum api_form *ret_form, struct base_bytes *ret_message,
                     struct api_connect_refusal *ret_refusal)
{
    struct base_text values[N_PARAMETERS] = {{NULL, 0}};
    if (!read_query(arena, request->query, values)) {
        return refuse(400, BASE_TEXT("the query must have encoding= and message=, each once"),
                      BASE_TEXT(""), ret_refusal);
    }
    if (values[CONNECT].length > 0 && !base_text_equal(values[CONNECT], BASE_TEXT("v1"))) {
        return refuse(400, BASE_TEXT("connect= must be v1"), BASE_TEXT(""), ret_refusal);
    }
    bool json = base_text_equal(values[ENCODING], BASE_TEXT("json"));
    if ((!json && !base_text_equal(values[ENCODING], BASE_TEXT("proto"))) ||
        !is_identity(values[COMPRESSION])) {
        return refuse(415, BASE_TEXT("encoding= must be json or proto, without compression="),
                      BASE_TEXT(""), ret_refusal);
    }
    *ret_form = json ? API_FORM_JSON : API_FORM_PROTOBUF;
    *ret_message = base_bytes_of(values[MESSAGE]);
    if (base_text_equal(values[BASE64], BASE_TEXT("1")) &&
        !base_base64_decode(arena, values[MESSAGE], BASE_BASE64_URL_UNPADDED, ret_message)) {
        return refuse(400, BASE_TEXT("message= must be URL-safe base64"), BASE_TEXT(""),
                      ret_refusal);
    }
    return true;
}

bool api_connect_read(const struct wire_request *request, struct base_arena *arena, bool may_get,
                      enum api_form *ret_form, struct base_bytes *ret_message,
                      struct api_connect_refusal *ret_refusal)
{
    if (base_text_equal(request->method, BASE_TEXT("POST"))) {
        return read_post(request, ret_form, ret_message, ret_refusal);
    }
    if (may_get && base_text_equal(request->method, BASE_TEXT("GET"))) {
        return read_get(request, arena, ret_form, ret_message, ret_refusal);
    }
    return may_get ? refuse(405, BASE_TEXT("this method is called with POST or GET"),
                            BASE_TEXT("GET, POST"), ret_refusal)
                   : refuse(405, BASE_TEXT("this method is called with POST"), BASE_TEXT("POST"),
                            ret_refusal);
}

/* --- errors --- */

/* `text`, which is UTF-8, as a JSON string with its quotes. */
static struct base_text json_string(struct base_arena *arena, struct base_text text)
{
    /* A control character takes the most, six bytes: \u001F. */
    char *json = base_arena_take(arena, text.length * 6 + 2);
    size_t length = 0;
    json[length++] = '"';
    for (size_t i = 0; i < text.length; i++) {
        uint8_t byte = (uint8_t)text.bytes[i];
        if (byte < 0x20) {
            static const char digits[] = "0123456789ABCDEF";
            const char escaped[6] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
            for (size_t at = 0; at < sizeof escaped; at++) {
                json[length++] = escaped[at];
            }
            continue;
        }
        if (byte == '"' || byte == '\\') {
            json[length++] = '\\';
        }
        json[length++] = (char)byte;
    }
    json[length++] = '"';
    return (struct base_text){json, length};
}

/* A detail: its type, its bytes, and in words if it is one of our own. */
static struct base_text detail_json(struct base_arena *arena, const Google__Protobuf__Any *detail)
{
    const char *slash = strrchr(detail->type_url, '/');
    struct base_text type = base_text_of(slash == NULL ? detail->type_url : slash + 1);
    struct base_text value = base_base64_encode(
        arena, (struct base_bytes){detail->value.data, detail->value.len}, BASE_BASE64_UNPADDED);
    struct base_text debug = BASE_TEXT("");
    const ProtobufCMessage *message = api_codec_unpack_detail(arena, detail);
    if (message != NULL) {
        debug = base_arena_print(arena, ",\"debug\":%.*s",
                                 BASE_TEXT_ARGS(api_codec_to_json(arena, message)));
    }
    return base_arena_print(arena, "{\"type\":%.*s,\"value\":\"%.*s\"%.*s}",
                            BASE_TEXT_ARGS(json_string(arena, type)), BASE_TEXT_ARGS(value),
                            BASE_TEXT_ARGS(debug));
}

struct base_text api_connect_error(struct base_arena *arena, const char *code,
                                   const Google__Rpc__Status *status)
{
    struct base_text list = BASE_TEXT("");
    for (size_t i = 0; i < status->n_details; i++) {
        struct base_text detail = detail_json(arena, status->details[i]);
        list = base_arena_print(arena, "%.*s%s%.*s", BASE_TEXT_ARGS(list), i > 0 ? "," : "",
                                BASE_TEXT_ARGS(detail));
    }
    struct base_text message = json_string(arena, base_text_of(status->message));
    return base_arena_print(arena, "{\"code\":\"%s\",\"message\":%.*s,\"details\":[%.*s]}", code,
                            BASE_TEXT_ARGS(message), BASE_TEXT_ARGS(list));
}
