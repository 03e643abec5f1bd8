/* GetBalance and BatchGetBalances. */
#include "api/exchange.h"
#include "zandaka/v1/balance_service.pb-c.h"

#define ACCOUNT_IDS_RULE "must be 1 to 1000 account ids"
static_assert(BASE_BATCH_GET_MAX == 1000, "told in a text");

/* Bytes of an answer, for the budget, for each account and each of its balances, as JSON. */
#define ACCOUNT_BYTES 128
#define BALANCE_BYTES 128

/* What is asked, and the rows that answer it. */
struct balances {
    size_t n_accounts;
    struct base_text *account_ids;
    struct ledger_account *accounts;
};

static struct balances *balances_open(struct api_exchange *exchange, size_t n_accounts,
                                      char *const *account_ids)
{
    struct balances *balances = base_arena_take(exchange->arena, sizeof *balances);
    balances->n_accounts = n_accounts;
    balances->account_ids =
        base_arena_take(exchange->arena, n_accounts * sizeof balances->account_ids[0]);
    balances->accounts =
        base_arena_take(exchange->arena, n_accounts * sizeof balances->accounts[0]);
    for (size_t i = 0; i < n_accounts; i++) {
        balances->account_ids[i] = base_text_of(account_ids[i]);
    }
    exchange->found = balances;
    return balances;
}

static size_t answer_bytes(const struct api_exchange *exchange, size_t n_accounts)
{
    return n_accounts * (ACCOUNT_BYTES + exchange->api->kinds->n_kinds * BALANCE_BYTES);
}

bool api_get_balance_start(struct api_exchange *exchange, const ProtobufCMessage *message)
{
    const Zandaka__V1__GetBalanceRequest *request = (const Zandaka__V1__GetBalanceRequest *)message;
    struct balances *balances = balances_open(exchange, 1, &request->account_id);
    const char *wrong = api_check_account_id(balances->account_ids[0]);
    if (wrong != NULL) {
        return api_exchange_refuse_field(exchange, BASE_TEXT("account_id"), base_text_of(wrong));
    }
    return api_permission_method(exchange) &&
           api_exchange_read(exchange, answer_bytes(exchange, 1));
}

bool api_batch_get_balances_start(struct api_exchange *exchange, const ProtobufCMessage *message)
{
    const Zandaka__V1__BatchGetBalancesRequest *request =
        (const Zandaka__V1__BatchGetBalancesRequest *)message;
    if (request->n_account_ids < 1 || request->n_account_ids > BASE_BATCH_GET_MAX) {
        return api_exchange_refuse_field(exchange, BASE_TEXT("account_ids"),
                                         BASE_TEXT(ACCOUNT_IDS_RULE));
    }
    const struct balances *balances =
        balances_open(exchange, request->n_account_ids, request->account_ids);
    struct api_violations violations =
        api_violations_open(exchange->arena, BASE_VIOLATIONS_MAX_BYTES);
    for (size_t i = 0; i < balances->n_accounts; i++) {
        const char *wrong = api_check_account_id(balances->account_ids[i]);
        if (wrong != NULL) {
            api_violations_add(&violations,
                               base_arena_print(exchange->arena, "account_ids[%zu]", i),
                               base_text_of(wrong));
        }
    }
    if (violations.n_violations > 0) {
        return api_exchange_refuse(exchange, &violations);
    }
    return api_permission_method(exchange) &&
           api_exchange_read(exchange, answer_bytes(exchange, request->n_account_ids));
}

enum store_fault api_balances_read(struct api_exchange *exchange, struct store *store)
{
    struct balances *balances = exchange->found;
    return store_read_accounts(store, balances->n_accounts, balances->account_ids, exchange->arena,
                               balances->accounts);
}

static void add_balance(struct api_exchange *exchange, Zandaka__V1__AccountBalance *account,
                        size_t kind_number, const struct ledger_balance *balance)
{
    Zandaka__V1__Balance *told = base_arena_take(exchange->arena, sizeof *told);
    zandaka__v1__balance__init(told);
    told->kind = exchange->api->kind_codes[kind_number];
    told->available = balance->available_minor;
    told->held = balance->held_minor;
    account->balances[account->n_balances++] = told;
}

/* Each kind in use, zeros included, in the configuration's order; then each withdrawn one of which
 * the account still has some. Those that the caller may not use are left out. */
static Zandaka__V1__AccountBalance *account_balance(struct api_exchange *exchange,
                                                    struct base_text account_id,
                                                    const struct ledger_account *row)
{
    const struct ledger_kinds *kinds = exchange->api->kinds;
    Zandaka__V1__AccountBalance *account = base_arena_take(exchange->arena, sizeof *account);
    zandaka__v1__account_balance__init(account);
    account->account_id = (char *)account_id.bytes;
    account->balances =
        base_arena_take(exchange->arena, kinds->n_kinds * sizeof(account->balances[0]));
    for (size_t i = 0; i < kinds->n_kinds; i++) {
        if (!kinds->kinds[i].withdrawn &&
            api_permission_shows_kind(exchange, kinds->kinds[i].code)) {
            add_balance(exchange, account, i, &row->balances[i]);
        }
    }
    for (size_t i = 0; i < kinds->n_kinds; i++) {
        const struct ledger_balance *balance = &row->balances[i];
        if (kinds->kinds[i].withdrawn &&
            (balance->available_minor != 0 || balance->held_minor != 0) &&
            api_permission_shows_kind(exchange, kinds->kinds[i].code)) {
            add_balance(exchange, account, i, balance);
        }
    }
    return account;
}

void api_get_balance_answer(struct api_exchange *exchange, struct api_answer *ret_answer)
{
    const struct balances *balances = exchange->found;
    ret_answer->message =
        &account_balance(exchange, balances->account_ids[0], &balances->accounts[0])->base;
}

void api_batch_get_balances_answer(struct api_exchange *exchange, struct api_answer *ret_answer)
{
    const struct balances *balances = exchange->found;
    Zandaka__V1__BatchGetBalancesResponse *response =
        base_arena_take(exchange->arena, sizeof *response);
    zandaka__v1__batch_get_balances_response__init(response);
    response->n_accounts = balances->n_accounts;
    response->accounts =
        base_arena_take(exchange->arena, balances->n_accounts * sizeof(response->accounts[0]));
    for (size_t i = 0; i < balances->n_accounts; i++) {
        response->accounts[i] =
            account_balance(exchange, balances->account_ids[i], &balances->accounts[i]);
    }
    ret_answer->message = &response->base;
}
