/*
 * The auditor: judges a run by docs/contract.md, and by nothing else. It takes no rule from ledger/
 * or service/ and shares only their words (a command, a refusal) and the decoding of records.
 *
 * It is told what it could see from outside: what was handed to a server and when, what the server
 * answered, and each row that becomes durable in the journal. From the journal it keeps every past
 * state. So it can hold each answer against a question that has one answer: was there a moment,
 * after the request was handed over and not after it was answered, at which just this was right? A
 * Submit needs such moments in the order of its commands (contract 3.14).
 *
 * The first rule that is broken is kept in `failure`, and nothing is judged after it.
 */
#ifndef ZANDAKA_SIM_AUDITOR_H
#define ZANDAKA_SIM_AUDITOR_H

#include "service/service.h"

struct auditor;

/* A request that was handed to a server. The simulator keeps it until the end of the run. */
struct auditor_request {
    size_t n_commands;
    const struct ledger_command *commands;
    const struct ledger_kinds *kinds; /* the configuration of that server */
    int64_t deadline_ns;
    size_t n_ahead;     /* commands that the server had not answered when this came */
    size_t n_ahead_own; /* of these, its caller's own */

    /* The auditor's own: the journal's length when it was handed over, and what went wrong with the
     * store of its server since. */
    size_t position;
    bool store_failed;
    bool outcome_unknown;
    /* Whether something that it asks for could not be read at some moment since, and how often
     * there had been such news when it was handed over. */
    bool met_damage;
    uint64_t n_damages;
};

struct auditor_failure {
    bool found;
    char rule[64]; /* `contract 3.5` */
    char what[400];
    char transaction_id[BASE_ID_MAX_BYTES + 1]; /* empty: none in particular */
    char account_id[BASE_ID_MAX_BYTES + 1];
};

/* Of the commands that the auditor has judged. */
struct auditor_figures {
    uint64_t applied;
    uint64_t replayed;
    uint64_t refused[BASE_REASON_COUNT];
    uint64_t reads;
    uint64_t recorded; /* rows of the journal */
};

/*
 * Ids are `t<number>` and accounts `a<number>`, with numbers below these. `n_kinds` kinds, whose
 * codes are the same in every configuration.
 */
struct auditor *auditor_open(size_t n_accounts, const struct ledger_kinds *kinds);
void auditor_close(struct auditor *auditor);
const struct auditor_failure *auditor_failure_of(const struct auditor *auditor);
/* Adds what was judged to *figures. */
void auditor_add_figures(const struct auditor *auditor, struct auditor_figures *figures);

/* Announces a command that will be sent, perhaps many times. Its description is `v<number>`, one
 * number for each different content, order of amounts or labels: so a record tells what it came
 * from. Fences have no labels and need no announcing. The command stays until the end. */
void auditor_announce(struct auditor *auditor, const struct ledger_command *command);

/* A server has the request from now on. */
void auditor_handed_over(struct auditor *auditor, struct auditor_request *request);
/* The store of its server failed while it had the request; `unknown`: with an unknown outcome. */
void auditor_store_failed(struct auditor_request *request, bool unknown);
/* From now on nobody can read that account, or what is recorded under that id; empty: it can be
 * read again. Then auditor_met_damage is called for each request that a server has. */
void auditor_damaged(struct auditor *auditor, struct base_text account_id,
                     struct base_text transaction_id);
void auditor_met_damage(struct auditor *auditor, struct auditor_request *request);
/* The server has answered. `taken` false: it did not take the request in the first place. */
void auditor_answered(struct auditor *auditor, const struct auditor_request *request,
                      const struct service_result *results, bool taken, int64_t now_ns);
/* Nothing happens any more, and the server still has the request. */
void auditor_unanswered(struct auditor *auditor, const struct auditor_request *request);
/* The server has died with the request. */
void auditor_lost(struct auditor *auditor, const struct auditor_request *request);
/* A server has looked at its clock. */
void auditor_clock_read(struct auditor *auditor, int64_t now_us);
/* The next row of the journal is durable. */
void auditor_recorded(struct auditor *auditor, struct base_bytes record);

/* What a read has shown, at this moment. */
void auditor_read_account(struct auditor *auditor, const struct ledger_account *account);
void auditor_read_entries(struct auditor *auditor, struct base_text account_id, size_t n_entries,
                          const struct ledger_entry *entries);
void auditor_read_transaction(struct auditor *auditor, struct base_text transaction_id, bool found,
                              struct base_bytes record);

/* The end: no request is under way, and nothing is on its way to the store. */
void auditor_settle(struct auditor *auditor, struct store *store);

#endif
