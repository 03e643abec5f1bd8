#include "api/codec.h"
#include "conformance/server.h"

#include <string.h>

enum api_form grpc_form(const struct wire_request *request)
{
    return base_text_equal(request->content_type, BASE_TEXT("application/grpc+json"))
               ? API_FORM_JSON
               : API_FORM_PROTOBUF;
}

static struct base_text content_type(const struct wire_request *request, enum api_form form)
{
    return request->form == WIRE_GRPC ? request->content_type : api_connect_content_type(form);
}

void answer_message(struct wire_request *request, enum api_form form,
                    const ProtobufCMessage *message, struct wire_reply *ret_reply)
{
    struct base_bytes body = form == API_FORM_JSON
                                 ? base_bytes_of(api_codec_to_json(&request->arena, message))
                                 : api_codec_pack(&request->arena, message);
    *ret_reply = (struct wire_reply){
        .http_status = 200, .content_type = content_type(request, form), .body = body};
}

void answer_error(struct wire_request *request, enum base_code code, const char *message,
                  struct wire_reply *ret_reply)
{
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
    status.message = (char *)message;
    *ret_reply = (struct wire_reply){.grpc_status = code,
                                     .grpc_message = base_text_of(message),
                                     .http_status = base_code_http_status(code),
                                     .content_type = content_type(request, API_FORM_JSON),
                                     .body = base_bytes_of(api_connect_error(
                                         &request->arena, base_code_connect_name(code), &status))};
}

struct base_text header_bytes(struct base_arena *arena, struct base_text name,
                              struct base_text value)
{
    struct base_bytes bytes;
    bool binary = name.length > 4 && memcmp(name.bytes + name.length - 4, "-bin", 4) == 0;
    return binary && base_base64_decode(arena, value, BASE_BASE64_UNPADDED, &bytes)
               ? base_text_from(bytes)
               : value;
}
