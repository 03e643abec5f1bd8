/* What plain HTTP asks that is no method's: health, metrics, and the refusals of HTTP itself. */
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

static void page_metrics(struct api_exchange *exchange)
{
    if (!api_permission_metrics(exchange)) {
        return;
    }
    struct api *api = exchange->api;
    struct base_writer out = {NULL, 0, 0};
    const char *reason = NULL;
    base_metrics_single(&out, "zandaka_ready", BASE_METRIC_GAUGE,
                        "1 when /readyz is ok; 0: it says why not.", api_ready(api, &reason));
    api_counts_write(&api->counts, &out);
    if (api->write_metrics != NULL) {
        api->write_metrics(api->metrics_context, &out);
    }
    exchange->page = (struct api_page){
        .http_status = 200,
        .content_type = BASE_TEXT("text/plain; version=0.0.4; charset=utf-8"),
        .text = base_text_from(base_arena_bytes(exchange->arena, base_writer_bytes(&out)))};
    base_writer_release(&out);
}

static const struct {
    const char *path;
    void (*answer)(struct api_exchange *exchange);
} pages[] = {
    {"/livez", page_live},
    {"/readyz", page_ready},
    {"/metrics", page_metrics},
};

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
    struct api_connect_refusal refusal;
    if (!api_connect_read(request, exchange->arena, api_method_reads(exchange->method),
                          &exchange->form, &exchange->message, &refusal)) {
        page_refuse(exchange, refusal.http_status, refusal.message, refusal.allow);
        if (refusal.http_status == 400) {
            exchange->error.reason = BASE_REASON_INVALID_REQUEST;
        }
        return true;
    }
    return false;
}
