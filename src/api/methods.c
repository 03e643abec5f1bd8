/* The method table: a later method is a row here and the functions that it names. */
#include "api/exchange.h"
#include "grpc/health/v1/health.pb-c.h"
#include "zandaka/v1/balance_service.pb-c.h"

/* A field that a write does not know might be content (contract 3.5), so it is refused. */
#define WRITE API_CODEC_REFUSE_UNKNOWN
#define READ API_CODEC_PASS_UNKNOWN
/* Who may call it: callers that are known, as far as they are configured, or everybody. */
#define CALLERS false
#define EVERYBODY true

static const struct api_method balance_methods[] = {
    {"Add", &zandaka__v1__add_request__descriptor, WRITE, CALLERS, api_add_start, NULL,
     api_write_answer},
    {"Consume", &zandaka__v1__consume_request__descriptor, WRITE, CALLERS, api_consume_start, NULL,
     api_write_answer},
    {"Cancel", &zandaka__v1__cancel_request__descriptor, WRITE, CALLERS, api_cancel_start, NULL,
     api_write_answer},
    {"Submit", &zandaka__v1__submit_request__descriptor, WRITE, CALLERS, api_submit_start, NULL,
     api_submit_answer},
    {"GetBalance", &zandaka__v1__get_balance_request__descriptor, READ, CALLERS,
     api_get_balance_start, api_balances_read, api_get_balance_answer},
    {"BatchGetBalances", &zandaka__v1__batch_get_balances_request__descriptor, READ, CALLERS,
     api_batch_get_balances_start, api_balances_read, api_batch_get_balances_answer},
    {"GetTransaction", &zandaka__v1__get_transaction_request__descriptor, READ, CALLERS,
     api_get_transaction_start, api_get_transaction_read, api_get_transaction_answer},
    {"ListEntries", &zandaka__v1__list_entries_request__descriptor, READ, CALLERS,
     api_list_entries_start, api_list_entries_read, api_list_entries_answer},
};

static const struct api_method health_methods[] = {
    {"Check", &grpc__health__v1__health_check_request__descriptor, READ, EVERYBODY,
     api_health_check_start, NULL, api_health_check_answer},
};

static const struct {
    const char *path;
    size_t n_methods;
    const struct api_method *methods;
} services[] = {
    {"/zandaka.v1.BalanceService/", sizeof balance_methods / sizeof balance_methods[0],
     balance_methods},
    {"/grpc.health.v1.Health/", sizeof health_methods / sizeof health_methods[0], health_methods},
};

#define N_SERVICES (sizeof services / sizeof services[0])

/* The method of that name in a service, or NULL. */
static const struct api_method *method_named(struct base_text name, size_t n_methods,
                                             const struct api_method *methods)
{
    for (size_t i = 0; i < n_methods; i++) {
        if (base_text_equal(base_text_of(methods[i].name), name)) {
            return &methods[i];
        }
    }
    return NULL;
}

const struct api_method *api_method_at(struct base_text path)
{
    for (size_t i = 0; i < N_SERVICES; i++) {
        struct base_text service = base_text_of(services[i].path);
        if (base_text_starts_with(path, service)) {
            struct base_text name = {path.bytes + service.length, path.length - service.length};
            return method_named(name, services[i].n_methods, services[i].methods);
        }
    }
    return NULL;
}

size_t api_method_count(void)
{
    size_t count = 0;
    for (size_t i = 0; i < N_SERVICES; i++) {
        count += services[i].n_methods;
    }
    return count;
}

const struct api_method *api_method_number(size_t index, struct base_text *ret_service)
{
    size_t i = 0;
    while (index >= services[i].n_methods) {
        index -= services[i].n_methods;
        i++;
        base_assert(i < N_SERVICES);
    }
    struct base_text path = base_text_of(services[i].path);
    *ret_service = (struct base_text){path.bytes + 1, path.length - 2};
    return &services[i].methods[index];
}

size_t api_method_index(const struct api_method *method)
{
    size_t first = 0;
    for (size_t i = 0; i < N_SERVICES; i++) {
        if (method >= services[i].methods && method < services[i].methods + services[i].n_methods) {
            return first + (size_t)(method - services[i].methods);
        }
        first += services[i].n_methods;
    }
    base_assert(false); /* it is one of the table */
    return 0;
}
