#include "ledger/model.h"

struct model_account *model_account(struct model *model, struct base_text account_id)
{
    for (size_t i = 0; i < model->n_accounts; i++) {
        if (base_text_equal(model->accounts[i].account_id, account_id)) {
            return &model->accounts[i];
        }
    }
    base_assert(model->n_accounts < MODEL_ACCOUNTS_MAX);
    struct model_account *account = &model->accounts[model->n_accounts++];
    *account = (struct model_account){.account_id = account_id};
    return account;
}

static const struct model_recorded *find(const struct model *model, struct base_text id)
{
    for (size_t i = 0; i < model->n_recorded; i++) {
        if (base_text_equal(model->recorded[i].request.transaction_id, id)) {
            return &model->recorded[i];
        }
    }
    return NULL;
}

static bool asks_for(const struct ledger_command *request, const struct ledger_amount *amount)
{
    for (size_t i = 0; i < request->n_amounts; i++) {
        if (base_text_equal(request->amounts[i].kind, amount->kind) &&
            request->amounts[i].amount_minor == amount->amount_minor) {
            return true;
        }
    }
    return false;
}

/* Contract 3.5: the amounts are a set, and no kind is in it twice. */
static bool same_amounts(const struct ledger_command *a, const struct ledger_command *b)
{
    for (size_t i = 0; i < a->n_amounts; i++) {
        if (!asks_for(b, &a->amounts[i])) {
            return false;
        }
    }
    return a->n_amounts == b->n_amounts;
}

/* Contract 3.3, 3.5 and 3.7. */
static struct model_answer answer_again(const struct model_recorded *recorded,
                                        const struct ledger_command *request)
{
    struct model_answer answer = {.result = LEDGER_REFUSED};
    bool fenced = recorded->request.operation == RECORD_OPERATION_CANCEL;
    bool fences = request->operation == RECORD_OPERATION_CANCEL;
    if (fenced != fences) {
        answer.refusal.reason =
            fenced ? BASE_REASON_TRANSACTION_CANCELLED : BASE_REASON_TRANSACTION_SUCCEEDED;
        return answer;
    }
    uint32_t differ = 0;
    differ |= recorded->request.operation == request->operation ? 0 : BASE_CONTENT_OPERATION;
    differ |= base_text_equal(recorded->request.account_id, request->account_id)
                  ? 0
                  : BASE_CONTENT_ACCOUNT_ID;
    differ |= same_amounts(&recorded->request, request) ? 0 : BASE_CONTENT_AMOUNTS;
    if (differ != 0) {
        answer.refusal.reason = BASE_REASON_TRANSACTION_ID_REUSED;
        answer.refusal.content_fields = differ;
        return answer;
    }
    return (struct model_answer){.result = LEDGER_REPLAYED, .recorded = recorded};
}

/* What is wrong with one amount, as the rank of the first check that says so; 0: nothing. */
enum rank { SOUND, UNKNOWN_KIND, AMOUNT_LIMIT, BALANCE_LIMIT, BALANCE, RANK_COUNT };

static enum rank wrong_with(const struct model *model, const struct model_account *account,
                            const struct ledger_command *request,
                            const struct ledger_amount *amount)
{
    int number = ledger_kind_number(model->kinds, amount->kind);
    if (number < 0 || model->kinds->kinds[number].withdrawn) {
        return UNKNOWN_KIND;
    }
    const struct ledger_kind *kind = &model->kinds->kinds[number];
    if (amount->amount_minor > kind->max_amount_minor) {
        return AMOUNT_LIMIT;
    }
    if (request->operation == RECORD_OPERATION_CONSUME) {
        return amount->amount_minor > account->available[number] ? BALANCE : SOUND;
    }
    model_wide would_be = account->available[number] + account->held[number] + amount->amount_minor;
    return would_be > kind->max_balance_minor || would_be > INT64_MAX ? BALANCE_LIMIT : SOUND;
}

static struct base_refusal refuse(const struct model *model, const struct model_account *account,
                                  const struct ledger_command *request)
{
    static const enum base_reason reasons[RANK_COUNT] = {
        BASE_REASON_NONE, BASE_REASON_UNKNOWN_KIND, BASE_REASON_AMOUNT_LIMIT_EXCEEDED,
        BASE_REASON_BALANCE_LIMIT_EXCEEDED, BASE_REASON_INSUFFICIENT_BALANCE};
    enum rank first = RANK_COUNT;
    struct base_text kind = {0};
    for (size_t i = 0; i < request->n_amounts; i++) {
        enum rank rank = wrong_with(model, account, request, &request->amounts[i]);
        if (rank != SOUND && rank < first) {
            first = rank;
            kind = request->amounts[i].kind;
        }
    }
    if (first == RANK_COUNT) {
        return (struct base_refusal){.reason = BASE_REASON_NONE};
    }
    return (struct base_refusal){.reason = reasons[first], .kind = kind};
}

static const struct model_recorded *record(struct model *model,
                                           const struct ledger_command *request, int64_t now_us)
{
    int64_t time_us = now_us;
    if (request->operation != RECORD_OPERATION_CANCEL) {
        struct model_account *account = model_account(model, request->account_id);
        if (account->seen && account->last_time_us > now_us) {
            time_us = account->last_time_us; /* contract 3.13 */
        }
        account->seen = true;
        account->last_time_us = time_us;
        for (size_t i = 0; i < request->n_amounts; i++) {
            int number = ledger_kind_number(model->kinds, request->amounts[i].kind);
            model_wide change = request->amounts[i].amount_minor;
            if (request->operation == RECORD_OPERATION_CONSUME) {
                change = -change;
            }
            account->available[number] += change;
            model->came_in[number] += change;
        }
    }
    base_assert(model->n_recorded < MODEL_RECORDED_MAX);
    model->recorded[model->n_recorded] = (struct model_recorded){*request, time_us};
    return &model->recorded[model->n_recorded++];
}

struct model_answer model_decide(struct model *model, const struct ledger_command *request,
                                 int64_t now_us)
{
    const struct model_recorded *recorded = find(model, request->transaction_id);
    if (recorded != NULL) {
        return answer_again(recorded, request);
    }
    if (request->operation != RECORD_OPERATION_CANCEL) {
        struct base_refusal refusal =
            refuse(model, model_account(model, request->account_id), request);
        if (refusal.reason != BASE_REASON_NONE) {
            return (struct model_answer){.result = LEDGER_REFUSED, .refusal = refusal};
        }
    }
    return (struct model_answer){.result = LEDGER_APPLIED,
                                 .recorded = record(model, request, now_us)};
}
