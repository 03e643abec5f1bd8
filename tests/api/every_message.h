/*
 * Every message that the codec is tested and fuzzed with. A new message of the API belongs here.
 */
#ifndef ZANDAKA_TESTS_API_EVERY_MESSAGE_H
#define ZANDAKA_TESTS_API_EVERY_MESSAGE_H

#include <zandaka/v1/balance_service.pb-c.h>
#include <zandaka/v1/stored_answers.pb-c.h>
#include <zandaka/v1/transaction.pb-c.h>

static const ProtobufCMessageDescriptor *const messages[] = {
    &zandaka__v1__add_request__descriptor,
    &zandaka__v1__consume_request__descriptor,
    &zandaka__v1__cancel_request__descriptor,
    &zandaka__v1__submit_request__descriptor,
    &zandaka__v1__submit_response__descriptor,
    &zandaka__v1__get_balance_request__descriptor,
    &zandaka__v1__account_balance__descriptor,
    &zandaka__v1__batch_get_balances_request__descriptor,
    &zandaka__v1__batch_get_balances_response__descriptor,
    &zandaka__v1__get_transaction_request__descriptor,
    &zandaka__v1__list_entries_request__descriptor,
    &zandaka__v1__list_entries_response__descriptor,
    &zandaka__v1__transaction__descriptor,
    &zandaka__v1__stored__submit_response__descriptor,
};
#define N_MESSAGES (sizeof messages / sizeof messages[0])

#endif
