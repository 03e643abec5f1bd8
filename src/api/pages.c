/* What plain HTTP asks that is no method's: health, and the refusals of HTTP itself. */
#include "api/exchange.h"

static void page_refuse(struct api_exchange *exchange, int http_status, struct base_text message,
                        struct base_text allow)
{
    exchange->page = (struct api_page){.http_status = http_status, .allow = allow};
    exchange->error = (struct api_error){.reason = BASE_REASON_UNIMPLEMENTED, .message = message};
}

static void page_live(struct api_exchange *exchange)
{
    exchange->page = (struct api_page){.http_status = 200, .text = BASE_TEXT("ok")};
}

static void page_ready(struct api_exchange *exchange)
{
    const char *reason = NULL;
    if (api_ready(exchange->api, &reason)) {
        page_live(exchange);
        return;
    }
    exchange->page = (struct api_page){.http_status = 503, .text = base_text_of(reason)};
}

static const struct {
    const char *path;
    void (*answer)(struct api_exchange *exchange);
} pages[] = {
    {"/livez", page_live},
    {"/readyz", page_ready},
};

/* JSON is UTF-8, so a parameter may say only that. */
static bool is_json(const struct wire_request *request)
{
    struct base_text parameters = request->content_type_parameters;
    return base_text_equal(request->content_type, BASE_TEXT("application/json")) &&
           (parameters.length == 0 ||
            base_text_equal_ignoring_case(parameters, BASE_TEXT("charset=utf-8")) ||
            base_text_equal_ignoring_case(parameters, BASE_TEXT("charset=\"utf-8\"")));
}

/* The forms in which a method's messages come over plain HTTP: one test for each. */
static bool form_of(const struct wire_request *request, enum api_form *ret_form)
{
    struct base_text encoding = wire_request_header(request, BASE_TEXT("content-encoding"));
    if (encoding.length > 0 && !base_text_equal_ignoring_case(encoding, BASE_TEXT("identity"))) {
        return false;
    }
    if (is_json(request)) {
        *ret_form = API_FORM_JSON;
        return true;
    }
    return false;
}

bool api_page_for(struct api_exchange *exchange)
{
    const struct wire_request *request = exchange->request;
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        if (!base_text_equal(base_text_of(pages[i].path), request->path)) {
            continue;
        }
        /* Load balancers ask with HEAD too; wire leaves the body out. */
        if (base_text_equal(request->method, BASE_TEXT("GET")) ||
            base_text_equal(request->method, BASE_TEXT("HEAD"))) {
            pages[i].answer(exchange);
        } else {
            page_refuse(exchange, 405, BASE_TEXT("this page is asked with GET"),
                        BASE_TEXT("GET, HEAD"));
        }
        return true;
    }
    if (exchange->method == NULL) {
        page_refuse(exchange, 404, BASE_TEXT("there is nothing at this path"), BASE_TEXT(""));
        return true;
    }
    if (!base_text_equal(request->method, BASE_TEXT("POST"))) {
        page_refuse(exchange, 405, BASE_TEXT("this method is called with POST"), BASE_TEXT("POST"));
        return true;
    }
    if (!form_of(request, &exchange->form)) {
        page_refuse(exchange, 415,
                    BASE_TEXT("the body must be application/json in UTF-8, not compressed"),
                    BASE_TEXT(""));
        return true;
    }
    return false;
}
