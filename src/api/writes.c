/* Add, Consume, Cancel: a request's message becomes a command, its record the answer. */
#include "api/exchange.h"
#include "zandaka/v1/balance_service.pb-c.h"

#define EXPIRE_TIME_RULE "has a meaning only for an Add to a kind that expires"

/* No kind expires, so an expiry time means nothing anywhere: dropping it would promise what is not
 * kept. */
static void refuse_expire_times(struct api_violations *violations, size_t n_amounts,
                                Zandaka__V1__Amount *const *amounts)
{
    for (size_t i = 0; i < n_amounts && i < BASE_AMOUNTS_MAX; i++) {
        if (amounts[i]->expire_time != NULL) {
            api_violations_add(violations,
                               base_arena_print(violations->arena, "amounts[%zu].expire_time", i),
                               BASE_TEXT(EXPIRE_TIME_RULE));
        }
    }
}

/* Completes a command that moves amounts, and checks it. */
static void take_amounts(struct api_violations *violations, size_t n_amounts,
                         Zandaka__V1__Amount *const *amounts, struct ledger_command *command)
{
    struct ledger_amount *taken = base_arena_take(violations->arena, n_amounts * sizeof *taken);
    for (size_t i = 0; i < n_amounts; i++) {
        taken[i] = (struct ledger_amount){base_text_of(amounts[i]->kind), amounts[i]->amount};
    }
    command->n_amounts = n_amounts;
    command->amounts = taken;
    api_validate_command(violations, command);
    refuse_expire_times(violations, n_amounts, amounts);
}

void api_command_of_add(struct api_violations *violations, const ProtobufCMessage *message,
                        struct ledger_command *ret_command)
{
    const Zandaka__V1__AddRequest *request = (const Zandaka__V1__AddRequest *)message;
    struct record_label *metadata =
        base_arena_take(violations->arena, request->n_metadata * sizeof *metadata);
    for (size_t i = 0; i < request->n_metadata; i++) {
        metadata[i] = (struct record_label){base_text_of(request->metadata[i]->key),
                                            base_text_of(request->metadata[i]->value)};
    }
    *ret_command = (struct ledger_command){
        .operation = RECORD_OPERATION_ADD,
        .transaction_id = base_text_of(request->transaction_id),
        .account_id = base_text_of(request->account_id),
        .description = base_text_of(request->description),
        .n_metadata = request->n_metadata,
        .metadata = metadata,
    };
    take_amounts(violations, request->n_amounts, request->amounts, ret_command);
}

void api_command_of_consume(struct api_violations *violations, const ProtobufCMessage *message,
                            struct ledger_command *ret_command)
{
    const Zandaka__V1__ConsumeRequest *request = (const Zandaka__V1__ConsumeRequest *)message;
    struct record_label *metadata =
        base_arena_take(violations->arena, request->n_metadata * sizeof *metadata);
    for (size_t i = 0; i < request->n_metadata; i++) {
        metadata[i] = (struct record_label){base_text_of(request->metadata[i]->key),
                                            base_text_of(request->metadata[i]->value)};
    }
    *ret_command = (struct ledger_command){
        .operation = RECORD_OPERATION_CONSUME,
        .transaction_id = base_text_of(request->transaction_id),
        .account_id = base_text_of(request->account_id),
        .description = base_text_of(request->description),
        .n_metadata = request->n_metadata,
        .metadata = metadata,
    };
    take_amounts(violations, request->n_amounts, request->amounts, ret_command);
}

void api_command_of_cancel(struct api_violations *violations, const ProtobufCMessage *message,
                           struct ledger_command *ret_command)
{
    const Zandaka__V1__CancelRequest *request = (const Zandaka__V1__CancelRequest *)message;
    *ret_command = (struct ledger_command){
        .operation = RECORD_OPERATION_CANCEL,
        .transaction_id = base_text_of(request->transaction_id),
    };
    api_validate_command(violations, ret_command);
}

static bool write_start(struct api_exchange *exchange, const ProtobufCMessage *message,
                        void (*command_of)(struct api_violations *violations,
                                           const ProtobufCMessage *message,
                                           struct ledger_command *ret_command))
{
    struct api_violations violations =
        api_violations_open(exchange->arena, BASE_VIOLATIONS_MAX_BYTES);
    struct ledger_command *command = base_arena_take(exchange->arena, sizeof *command);
    command_of(&violations, message, command);
    if (violations.n_violations > 0) {
        return api_exchange_refuse(exchange, &violations);
    }
    return api_permission_command(exchange, command) && api_exchange_write(exchange, 1, command);
}

bool api_add_start(struct api_exchange *exchange, const ProtobufCMessage *message)
{
    return write_start(exchange, message, api_command_of_add);
}

bool api_consume_start(struct api_exchange *exchange, const ProtobufCMessage *message)
{
    return write_start(exchange, message, api_command_of_consume);
}

bool api_cancel_start(struct api_exchange *exchange, const ProtobufCMessage *message)
{
    return write_start(exchange, message, api_command_of_cancel);
}

void api_write_answer(struct api_exchange *exchange, struct api_answer *ret_answer)
{
    const struct service_result *result = &exchange->results[0];
    if (result->record.length == 0) {
        exchange->error = api_error_of_refusal(&result->refusal);
        return;
    }
    *ret_answer = (struct api_answer){.record = result->record, .replayed = result->replayed};
}
