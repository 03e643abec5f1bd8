/*
 * The rules once more, to hold the ledger against: written from docs/contract.md alone, in another
 * way. It keeps requests as they came, not transactions with legs; it looks for everything that is
 * wrong with a request and then tells what comes first; it counts in 128 bits; it has no batches.
 */
#ifndef ZANDAKA_TESTS_LEDGER_MODEL_H
#define ZANDAKA_TESTS_LEDGER_MODEL_H

#include "ledger/ledger.h"

/* Wider than any sum of amounts can be. */
__extension__ typedef __int128 model_wide;

#define MODEL_ACCOUNTS_MAX 16
#define MODEL_RECORDED_MAX 8192

/* A request that has succeeded, as it came. */
struct model_recorded {
    struct ledger_command request;
    int64_t time_us;
};

struct model_account {
    struct base_text account_id;
    bool seen;
    int64_t last_time_us;
    model_wide available[BASE_KINDS_MAX];
    model_wide held[BASE_KINDS_MAX];
};

struct model {
    const struct ledger_kinds *kinds;
    size_t n_recorded;
    struct model_recorded recorded[MODEL_RECORDED_MAX];
    size_t n_accounts;
    struct model_account accounts[MODEL_ACCOUNTS_MAX];
    model_wide came_in[BASE_KINDS_MAX]; /* minus what went out */
};

struct model_answer {
    enum ledger_result result;
    const struct model_recorded *recorded; /* unless refused */
    struct base_refusal refusal;
};

struct model_account *model_account(struct model *model, struct base_text account_id);
struct model_answer model_decide(struct model *model, const struct ledger_command *request,
                                 int64_t now_us);

#endif
