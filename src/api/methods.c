/* The method table: a later method is a row here and the functions that it names. */
#include "api/exchange.h"
#include "zandaka/v1/balance_service.pb-c.h"

#define SERVICE_PATH "/zandaka.v1.BalanceService/"

/* A field that a write does not know might be content (contract 3.5), so it is refused. */
#define WRITE API_CODEC_REFUSE_UNKNOWN
#define READ API_CODEC_PASS_UNKNOWN

static const struct api_method methods[] = {
    {"Add", &zandaka__v1__add_request__descriptor, WRITE, api_add_start, NULL, api_write_answer},
    {"Consume", &zandaka__v1__consume_request__descriptor, WRITE, api_consume_start, NULL,
     api_write_answer},
    {"Cancel", &zandaka__v1__cancel_request__descriptor, WRITE, api_cancel_start, NULL,
     api_write_answer},
    {"Submit", &zandaka__v1__submit_request__descriptor, WRITE, api_submit_start, NULL,
     api_submit_answer},
    {"GetBalance", &zandaka__v1__get_balance_request__descriptor, READ, api_get_balance_start,
     api_balances_read, api_get_balance_answer},
    {"BatchGetBalances", &zandaka__v1__batch_get_balances_request__descriptor, READ,
     api_batch_get_balances_start, api_balances_read, api_batch_get_balances_answer},
    {"GetTransaction", &zandaka__v1__get_transaction_request__descriptor, READ,
     api_get_transaction_start, api_get_transaction_read, api_get_transaction_answer},
    {"ListEntries", &zandaka__v1__list_entries_request__descriptor, READ, api_list_entries_start,
     api_list_entries_read, api_list_entries_answer},
};

const struct api_method *api_method_at(struct base_text path)
{
    struct base_text service = BASE_TEXT(SERVICE_PATH);
    if (!base_text_starts_with(path, service)) {
        return NULL;
    }
    struct base_text name = {path.bytes + service.length, path.length - service.length};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (base_text_equal(base_text_of(methods[i].name), name)) {
            return &methods[i];
        }
    }
    return NULL;
}
