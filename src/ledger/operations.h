/*
 * The table of operations: what a command becomes and what it must pass. Internal to ledger/.
 *
 * A new operation is a row here: what it asks for (`compose`), and which checks stand before it. A
 * new rule is a check of its own, put into the rows that it binds.
 */
#ifndef ZANDAKA_LEDGER_OPERATIONS_H
#define ZANDAKA_LEDGER_OPERATIONS_H

#include "ledger/ledger.h"

/* What one leg does to one balance. No two movements of a transaction meet in the same balance, so
 * each can be checked against the balance as it stands. */
struct ledger_movement {
    struct ledger_account *account;
    int kind_number;         /* -1: the kind is not configured */
    int64_t available_minor; /* the change, -BASE_AMOUNT_MAX to BASE_AMOUNT_MAX */
    int64_t held_minor;      /* the same */
};

/* A command, made into the transaction that it would be. Points into itself: not to be copied. */
struct ledger_attempt {
    const struct ledger_kinds *kinds;
    struct record_transaction transaction; /* well-formed; its legs are `legs` */
    struct record_leg legs[BASE_LEGS_MAX];
    struct ledger_movement movements[BASE_LEGS_MAX]; /* one for each leg, in the same order */
};

/* Looks at one leg: BASE_REASON_NONE, or why it cannot be. */
typedef enum base_reason ledger_check(const struct ledger_attempt *attempt, size_t leg);

/* Checks of one operation, the end's NULL included. */
#define LEDGER_CHECKS_MAX 8

struct ledger_operation {
    enum record_state state; /* of its record */
    void (*compose)(struct ledger_attempt *attempt, const struct ledger_facts *facts,
                    const struct ledger_command *command);
    /* In the order of contract 4, up to the first NULL. Each goes over all legs in their order
     * before the next one. */
    ledger_check *checks[LEDGER_CHECKS_MAX];
};

const struct ledger_operation *ledger_operation_of(enum record_operation operation);

#endif
