/*
 * Submit: each command is checked by itself, for its form and for what its caller may. A wrong one
 * is that command's error, told with its path from the request
 * (`commands[3].add.amounts[0].amount`); the others go to the service in their order, as one call.
 */
#include "api/exchange.h"
#include "zandaka/v1/balance_service.pb-c.h"
#include "zandaka/v1/stored_answers.pb-c.h"

#define COMMANDS_RULE "must be 1 to 1024 commands"
#define OPERATION_RULE "must have one operation set"
static_assert(BASE_SUBMIT_MAX == 1024, "told in a text");

struct submit {
    size_t n_commands;
    /* For each command: what is wrong with it, or NULL: it is a command of the service's call,
     * whose results are in the same order. */
    const struct api_error **wrong;
};

/* The command that a message asks for, in *ret_command; its violations carry their paths. */
static void command_of(struct api_violations *violations, const Zandaka__V1__Command *message,
                       size_t index, struct ledger_command *ret_command)
{
    const char *operation = "";
    switch (message->command_case) {
    case ZANDAKA__V1__COMMAND__COMMAND_ADD:
        api_command_of_add(violations, &message->add->base, ret_command);
        operation = ".add.";
        break;
    case ZANDAKA__V1__COMMAND__COMMAND_CONSUME:
        api_command_of_consume(violations, &message->consume->base, ret_command);
        operation = ".consume.";
        break;
    case ZANDAKA__V1__COMMAND__COMMAND_CANCEL:
        api_command_of_cancel(violations, &message->cancel->base, ret_command);
        operation = ".cancel.";
        break;
    default:
        api_violations_add(violations, BASE_TEXT(""), BASE_TEXT(OPERATION_RULE));
        break;
    }
    if (violations->n_violations > 0) {
        api_violations_place(
            violations, base_arena_print(violations->arena, "commands[%zu]%s", index, operation));
    }
}

/* Checks one command of the request. NULL: sound and allowed, in *ret_command. */
static const struct api_error *check_command(struct api_exchange *exchange,
                                             const Zandaka__V1__Command *message, size_t index,
                                             struct ledger_command *ret_command)
{
    struct api_violations violations =
        api_violations_open(exchange->arena, BASE_VIOLATIONS_OF_COMMAND_MAX_BYTES);
    command_of(&violations, message, index, ret_command);
    bool sound = violations.n_violations > 0 ? api_exchange_refuse(exchange, &violations)
                                             : api_permission_command(exchange, ret_command);
    if (sound) {
        return NULL;
    }
    struct api_error *wrong = base_arena_take(exchange->arena, sizeof *wrong);
    *wrong = exchange->error;
    exchange->error = (struct api_error){.reason = BASE_REASON_NONE}; /* the command's alone */
    return wrong;
}

bool api_submit_start(struct api_exchange *exchange, const ProtobufCMessage *message)
{
    const Zandaka__V1__SubmitRequest *request = (const Zandaka__V1__SubmitRequest *)message;
    if (request->n_commands < 1 || request->n_commands > BASE_SUBMIT_MAX) {
        return api_exchange_refuse_field(exchange, BASE_TEXT("commands"), BASE_TEXT(COMMANDS_RULE));
    }
    if (!api_permission_method(exchange)) {
        return false;
    }
    struct submit *submit = base_arena_take(exchange->arena, sizeof *submit);
    submit->n_commands = request->n_commands;
    submit->wrong =
        base_arena_take_zeroed(exchange->arena, request->n_commands, sizeof submit->wrong[0]);
    exchange->found = submit;

    struct ledger_command *commands =
        base_arena_take(exchange->arena, request->n_commands * sizeof *commands);
    size_t n_commands = 0;
    for (size_t i = 0; i < request->n_commands; i++) {
        submit->wrong[i] = check_command(exchange, request->commands[i], i, &commands[n_commands]);
        n_commands += submit->wrong[i] == NULL ? 1 : 0;
    }
    return n_commands > 0 && api_exchange_write(exchange, n_commands, commands);
}

/* Why command `index` has no record. `result` is the service's, if it got the command. */
static Google__Rpc__Status *error_of(struct api_exchange *exchange, const struct api_error *wrong,
                                     const struct service_result *result)
{
    struct api_error error = wrong != NULL ? *wrong : api_error_of_refusal(&result->refusal);
    return api_error_status(exchange->arena, &error);
}

/* The result of command `index`, with the record as the bytes that it is. */
static Zandaka__V1__Stored__SubmitResult *stored_result(struct api_exchange *exchange,
                                                        const struct api_error *wrong,
                                                        const struct service_result *result)
{
    Zandaka__V1__Stored__SubmitResult *told = base_arena_take(exchange->arena, sizeof *told);
    zandaka__v1__stored__submit_result__init(told);
    if (wrong == NULL && result->record.length > 0) {
        told->result_case = ZANDAKA__V1__STORED__SUBMIT_RESULT__RESULT_TRANSACTION;
        told->transaction =
            (ProtobufCBinaryData){result->record.length, (uint8_t *)result->record.bytes};
        told->replayed = result->replayed;
    } else {
        told->result_case = ZANDAKA__V1__STORED__SUBMIT_RESULT__RESULT_ERROR;
        told->error = error_of(exchange, wrong, result);
    }
    return told;
}

static const ProtobufCMessage *stored_response(struct api_exchange *exchange)
{
    const struct submit *submit = exchange->found;
    Zandaka__V1__Stored__SubmitResponse *response =
        base_arena_take(exchange->arena, sizeof *response);
    zandaka__v1__stored__submit_response__init(response);
    response->n_results = submit->n_commands;
    response->results =
        base_arena_take(exchange->arena, submit->n_commands * sizeof(response->results[0]));
    const struct service_result *next = exchange->results;
    for (size_t i = 0; i < submit->n_commands; i++) {
        const struct api_error *wrong = submit->wrong[i];
        response->results[i] = stored_result(exchange, wrong, wrong == NULL ? next++ : NULL);
    }
    return &response->base;
}

/* The same with its records decoded, for JSON. NULL: exchange->error says why. */
static const ProtobufCMessage *decoded_response(struct api_exchange *exchange)
{
    const Zandaka__V1__Stored__SubmitResponse *stored =
        (const Zandaka__V1__Stored__SubmitResponse *)stored_response(exchange);
    Zandaka__V1__SubmitResponse *response = base_arena_take(exchange->arena, sizeof *response);
    zandaka__v1__submit_response__init(response);
    response->n_results = stored->n_results;
    response->results =
        base_arena_take(exchange->arena, stored->n_results * sizeof(response->results[0]));
    for (size_t i = 0; i < stored->n_results; i++) {
        const Zandaka__V1__Stored__SubmitResult *result = stored->results[i];
        Zandaka__V1__SubmitResult *told = base_arena_take(exchange->arena, sizeof *told);
        zandaka__v1__submit_result__init(told);
        if (result->result_case == ZANDAKA__V1__STORED__SUBMIT_RESULT__RESULT_ERROR) {
            told->result_case = ZANDAKA__V1__SUBMIT_RESULT__RESULT_ERROR;
            told->error = result->error;
        } else {
            struct base_bytes record = {result->transaction.data, result->transaction.len};
            told->result_case = ZANDAKA__V1__SUBMIT_RESULT__RESULT_TRANSACTION;
            told->transaction = (Zandaka__V1__Transaction *)api_record_message(exchange, record);
            told->replayed = result->replayed;
            if (told->transaction == NULL) {
                return NULL;
            }
        }
        response->results[i] = told;
    }
    return &response->base;
}

void api_submit_answer(struct api_exchange *exchange, struct api_answer *ret_answer)
{
    ret_answer->message =
        exchange->form == API_FORM_JSON ? decoded_response(exchange) : stored_response(exchange);
}
