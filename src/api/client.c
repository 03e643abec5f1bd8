/* The client's half: commands and reads to calls, answers back. */
#include "api/api.h"
#include "api/codec_field.h"

#include <google/rpc/error_details.pb-c.h>
#include <google/rpc/status.pb-c.h>
#include <string.h>
#include <zandaka/v1/balance_service.pb-c.h>
#include <zandaka/v1/stored_answers.pb-c.h>

#define SERVICE_PATH "/zandaka.v1.BalanceService/"
/* The highest of google.rpc.Code: UNAUTHENTICATED. */
#define CODE_MAX 16

/* --- calls --- */

/* protobuf-c's strings end at a NUL, and it does not promise not to write to them. */
static char *string_of(struct base_arena *arena, struct base_text text)
{
    return (char *)base_arena_text(arena, text).bytes;
}

static Zandaka__V1__Amount **amounts_of(struct base_arena *arena,
                                        const struct ledger_command *command)
{
    Zandaka__V1__Amount **amounts = base_arena_take(arena, command->n_amounts * sizeof amounts[0]);
    for (size_t i = 0; i < command->n_amounts; i++) {
        amounts[i] = base_arena_take(arena, sizeof *amounts[i]);
        zandaka__v1__amount__init(amounts[i]);
        amounts[i]->kind = string_of(arena, command->amounts[i].kind);
        amounts[i]->amount = command->amounts[i].amount_minor;
    }
    return amounts;
}

/* The command's labels as entries of the map that `descriptor` describes. */
static void *metadata_of(struct base_arena *arena, const struct ledger_command *command,
                         const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage **entries = base_arena_take(arena, command->n_metadata * sizeof entries[0]);
    for (size_t i = 0; i < command->n_metadata; i++) {
        entries[i] = api_codec_new_entry(arena, descriptor, command->metadata[i].key);
        const char *value = string_of(arena, command->metadata[i].value);
        memcpy((char *)entries[i] + descriptor->fields[1].offset, &value, sizeof value);
    }
    return entries;
}

static Zandaka__V1__AddRequest *add_request(struct base_arena *arena,
                                            const struct ledger_command *command)
{
    Zandaka__V1__AddRequest *add = base_arena_take(arena, sizeof *add);
    zandaka__v1__add_request__init(add);
    add->transaction_id = string_of(arena, command->transaction_id);
    add->account_id = string_of(arena, command->account_id);
    add->n_amounts = command->n_amounts;
    add->amounts = amounts_of(arena, command);
    add->description = string_of(arena, command->description);
    add->n_metadata = command->n_metadata;
    add->metadata =
        metadata_of(arena, command, &zandaka__v1__add_request__metadata_entry__descriptor);
    return add;
}

static Zandaka__V1__ConsumeRequest *consume_request(struct base_arena *arena,
                                                    const struct ledger_command *command)
{
    Zandaka__V1__ConsumeRequest *consume = base_arena_take(arena, sizeof *consume);
    zandaka__v1__consume_request__init(consume);
    consume->transaction_id = string_of(arena, command->transaction_id);
    consume->account_id = string_of(arena, command->account_id);
    consume->n_amounts = command->n_amounts;
    consume->amounts = amounts_of(arena, command);
    consume->description = string_of(arena, command->description);
    consume->n_metadata = command->n_metadata;
    consume->metadata =
        metadata_of(arena, command, &zandaka__v1__consume_request__metadata_entry__descriptor);
    return consume;
}

static Zandaka__V1__CancelRequest *cancel_request(struct base_arena *arena,
                                                  const struct ledger_command *command)
{
    Zandaka__V1__CancelRequest *cancel = base_arena_take(arena, sizeof *cancel);
    zandaka__v1__cancel_request__init(cancel);
    cancel->transaction_id = string_of(arena, command->transaction_id);
    return cancel;
}

void api_call_command(struct base_arena *arena, const struct ledger_command *command,
                      struct api_call *ret_call)
{
    const ProtobufCMessage *message = NULL;
    switch (command->operation) {
    case RECORD_OPERATION_ADD:
        ret_call->path = BASE_TEXT(SERVICE_PATH "Add");
        message = &add_request(arena, command)->base;
        break;
    case RECORD_OPERATION_CONSUME:
        ret_call->path = BASE_TEXT(SERVICE_PATH "Consume");
        message = &consume_request(arena, command)->base;
        break;
    case RECORD_OPERATION_CANCEL:
        ret_call->path = BASE_TEXT(SERVICE_PATH "Cancel");
        message = &cancel_request(arena, command)->base;
        break;
    case RECORD_OPERATION_NONE:
        break;
    }
    base_assert(message != NULL);
    ret_call->message = api_codec_pack(arena, message);
}

static Zandaka__V1__Command *submit_command(struct base_arena *arena,
                                            const struct ledger_command *command)
{
    Zandaka__V1__Command *submitted = base_arena_take(arena, sizeof *submitted);
    zandaka__v1__command__init(submitted);
    switch (command->operation) {
    case RECORD_OPERATION_ADD:
        submitted->command_case = ZANDAKA__V1__COMMAND__COMMAND_ADD;
        submitted->add = add_request(arena, command);
        break;
    case RECORD_OPERATION_CONSUME:
        submitted->command_case = ZANDAKA__V1__COMMAND__COMMAND_CONSUME;
        submitted->consume = consume_request(arena, command);
        break;
    case RECORD_OPERATION_CANCEL:
        submitted->command_case = ZANDAKA__V1__COMMAND__COMMAND_CANCEL;
        submitted->cancel = cancel_request(arena, command);
        break;
    case RECORD_OPERATION_NONE:
        break;
    }
    base_assert(submitted->command_case != ZANDAKA__V1__COMMAND__COMMAND__NOT_SET);
    return submitted;
}

void api_call_submit(struct base_arena *arena, size_t n_commands,
                     const struct ledger_command *commands, struct api_call *ret_call)
{
    Zandaka__V1__SubmitRequest request = ZANDAKA__V1__SUBMIT_REQUEST__INIT;
    request.n_commands = n_commands;
    request.commands = base_arena_take(arena, n_commands * sizeof request.commands[0]);
    for (size_t i = 0; i < n_commands; i++) {
        request.commands[i] = submit_command(arena, &commands[i]);
    }
    ret_call->path = BASE_TEXT(SERVICE_PATH "Submit");
    ret_call->message = api_codec_pack(arena, &request.base);
}

void api_call_get_balance(struct base_arena *arena, struct base_text account_id,
                          struct api_call *ret_call)
{
    Zandaka__V1__GetBalanceRequest request = ZANDAKA__V1__GET_BALANCE_REQUEST__INIT;
    request.account_id = string_of(arena, account_id);
    ret_call->path = BASE_TEXT(SERVICE_PATH "GetBalance");
    ret_call->message = api_codec_pack(arena, &request.base);
}

void api_call_batch_get_balances(struct base_arena *arena, size_t n_account_ids,
                                 const struct base_text *account_ids, struct api_call *ret_call)
{
    Zandaka__V1__BatchGetBalancesRequest request = ZANDAKA__V1__BATCH_GET_BALANCES_REQUEST__INIT;
    request.n_account_ids = n_account_ids;
    request.account_ids = base_arena_take(arena, n_account_ids * sizeof request.account_ids[0]);
    for (size_t i = 0; i < n_account_ids; i++) {
        request.account_ids[i] = string_of(arena, account_ids[i]);
    }
    ret_call->path = BASE_TEXT(SERVICE_PATH "BatchGetBalances");
    ret_call->message = api_codec_pack(arena, &request.base);
}

void api_call_get_transaction(struct base_arena *arena, struct base_text transaction_id,
                              struct api_call *ret_call)
{
    Zandaka__V1__GetTransactionRequest request = ZANDAKA__V1__GET_TRANSACTION_REQUEST__INIT;
    request.transaction_id = string_of(arena, transaction_id);
    ret_call->path = BASE_TEXT(SERVICE_PATH "GetTransaction");
    ret_call->message = api_codec_pack(arena, &request.base);
}

void api_call_list_entries(struct base_arena *arena, struct base_text account_id,
                           struct base_text kind, int32_t page_size, struct base_text page_token,
                           struct api_call *ret_call)
{
    Zandaka__V1__ListEntriesRequest request = ZANDAKA__V1__LIST_ENTRIES_REQUEST__INIT;
    char *kinds[1] = {string_of(arena, kind)};
    request.account_id = string_of(arena, account_id);
    request.n_kinds = kind.length > 0 ? 1 : 0;
    request.kinds = kinds;
    request.page_size = page_size;
    request.page_token = string_of(arena, page_token);
    ret_call->path = BASE_TEXT(SERVICE_PATH "ListEntries");
    ret_call->message = api_codec_pack(arena, &request.base);
}

/* --- failures --- */

static enum base_code code_of(int number)
{
    return number > 0 && number <= CODE_MAX ? (enum base_code)number : BASE_CODE_UNKNOWN;
}

static void read_error_info(struct base_arena *arena, struct base_bytes value,
                            struct api_failure *failure)
{
    const Google__Rpc__ErrorInfo *info =
        api_codec_unpack_answer(arena, &google__rpc__error_info__descriptor, value);
    if (info == NULL) {
        return;
    }
    const struct {
        struct base_text key;
        struct base_text *value;
    } places[] = {
        {BASE_TEXT("applied"), &failure->applied},
        {BASE_TEXT("retry"), &failure->retry},
        {BASE_TEXT("kind"), &failure->kind},
        {BASE_TEXT("fields"), &failure->fields},
    };
    failure->reason = base_text_of(info->reason);
    for (size_t i = 0; i < info->n_metadata; i++) {
        for (size_t place = 0; place < sizeof places / sizeof places[0]; place++) {
            if (base_text_equal(base_text_of(info->metadata[i]->key), places[place].key)) {
                *places[place].value = base_text_of(info->metadata[i]->value);
            }
        }
    }
}

/* The violations as `amounts[0].amount: must be …; account_id: must be …`. */
static void read_bad_request(struct base_arena *arena, struct base_bytes value,
                             struct api_failure *failure)
{
    const Google__Rpc__BadRequest *request =
        api_codec_unpack_answer(arena, &google__rpc__bad_request__descriptor, value);
    struct base_writer text = {NULL, 0, 0};
    for (size_t i = 0; request != NULL && i < request->n_field_violations; i++) {
        const Google__Rpc__BadRequest__FieldViolation *violation = request->field_violations[i];
        const struct base_text parts[] = {
            i > 0 ? BASE_TEXT("; ") : BASE_TEXT(""),
            base_text_of(violation->field),
            violation->field[0] != '\0' ? BASE_TEXT(": ") : BASE_TEXT(""),
            base_text_of(violation->description),
        };
        for (size_t part = 0; part < sizeof parts / sizeof parts[0]; part++) {
            base_write_bytes(&text, base_bytes_of(parts[part]));
        }
    }
    if (text.length > 0) {
        failure->fields = base_arena_text(arena, base_text_from(base_writer_bytes(&text)));
    }
    base_writer_release(&text);
}

static void read_details(struct base_arena *arena, const Google__Rpc__Status *status,
                         struct api_failure *failure)
{
    for (size_t i = 0; i < status->n_details; i++) {
        const Google__Protobuf__Any *any = status->details[i];
        struct base_text url = base_text_of(any->type_url);
        struct base_bytes value = {any->value.data, any->value.len};
        if (base_text_equal(url, BASE_TEXT("type.googleapis.com/google.rpc.ErrorInfo"))) {
            read_error_info(arena, value, failure);
        } else if (base_text_equal(url, BASE_TEXT("type.googleapis.com/google.rpc.BadRequest"))) {
            read_bad_request(arena, value, failure);
        }
    }
}

void api_failure_read(struct base_arena *arena, const struct wire_response *response,
                      struct api_failure *ret_failure)
{
    /* Without a status there is no telling what the server did: the code is that of a server that
     * could not be reached, and `applied` stays empty. */
    struct api_failure failure = {
        .code =
            response->grpc_status == -1 ? BASE_CODE_UNAVAILABLE : code_of(response->grpc_status),
        .message = base_arena_text(arena, response->message),
    };
    const Google__Rpc__Status *status =
        response->status_details.length == 0
            ? NULL
            : api_codec_unpack_answer(arena, &google__rpc__status__descriptor,
                                      response->status_details);
    if (status != NULL) {
        if (failure.message.length == 0) {
            failure.message = base_text_of(status->message);
        }
        read_details(arena, status, &failure);
    }
    *ret_failure = failure;
}

/* --- answers --- */

static bool read_result(struct base_arena *arena, const Zandaka__V1__Stored__SubmitResult *stored,
                        struct api_result *ret_result)
{
    struct api_result result = {.replayed = stored->replayed != 0};
    switch (stored->result_case) {
    case ZANDAKA__V1__STORED__SUBMIT_RESULT__RESULT_TRANSACTION:
        result.succeeded = true;
        result.record = (struct base_bytes){stored->transaction.data, stored->transaction.len};
        break;
    case ZANDAKA__V1__STORED__SUBMIT_RESULT__RESULT_ERROR:
        result.failure.code = code_of(stored->error->code);
        result.failure.message = base_text_of(stored->error->message);
        read_details(arena, stored->error, &result.failure);
        break;
    default:
        return false;
    }
    *ret_result = result;
    return true;
}

bool api_read_submit(struct base_arena *arena, struct base_bytes message, size_t *ret_n_results,
                     struct api_result **ret_results)
{
    const Zandaka__V1__Stored__SubmitResponse *response =
        api_codec_unpack_answer(arena, &zandaka__v1__stored__submit_response__descriptor, message);
    if (response == NULL) {
        return false;
    }
    struct api_result *results = base_arena_take(arena, response->n_results * sizeof results[0]);
    for (size_t i = 0; i < response->n_results; i++) {
        if (!read_result(arena, response->results[i], &results[i])) {
            return false;
        }
    }
    *ret_n_results = response->n_results;
    *ret_results = results;
    return true;
}

static struct api_account account_of(struct base_arena *arena,
                                     const Zandaka__V1__AccountBalance *message)
{
    struct api_account account = {
        .account_id = base_text_of(message->account_id),
        .n_balances = message->n_balances,
        .balances = base_arena_take(arena, message->n_balances * sizeof account.balances[0]),
    };
    for (size_t i = 0; i < message->n_balances; i++) {
        const Zandaka__V1__Balance *balance = message->balances[i];
        account.balances[i] =
            (struct api_balance){base_text_of(balance->kind), balance->available, balance->held};
    }
    return account;
}

bool api_read_account(struct base_arena *arena, struct base_bytes message,
                      struct api_account *ret_account)
{
    const Zandaka__V1__AccountBalance *account =
        api_codec_unpack_answer(arena, &zandaka__v1__account_balance__descriptor, message);
    if (account == NULL) {
        return false;
    }
    *ret_account = account_of(arena, account);
    return true;
}

bool api_read_accounts(struct base_arena *arena, struct base_bytes message, size_t *ret_n_accounts,
                       struct api_account **ret_accounts)
{
    const Zandaka__V1__BatchGetBalancesResponse *response = api_codec_unpack_answer(
        arena, &zandaka__v1__batch_get_balances_response__descriptor, message);
    if (response == NULL) {
        return false;
    }
    struct api_account *accounts =
        base_arena_take(arena, response->n_accounts * sizeof accounts[0]);
    for (size_t i = 0; i < response->n_accounts; i++) {
        accounts[i] = account_of(arena, response->accounts[i]);
    }
    *ret_n_accounts = response->n_accounts;
    *ret_accounts = accounts;
    return true;
}

/* OPERATION_ADD as `add`; one that a newer server knows by its number. */
static struct base_text operation_text(struct base_arena *arena, Zandaka__V1__Operation operation)
{
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value(&zandaka__v1__operation__descriptor, (int)operation);
    if (value == NULL) {
        return base_arena_print(arena, "operation %d", (int)operation);
    }
    struct base_text name = base_arena_print(arena, "%s", value->name + strlen("OPERATION_"));
    char *lower = (char *)name.bytes;
    for (size_t i = 0; i < name.length; i++) {
        lower[i] = lower[i] >= 'A' && lower[i] <= 'Z' ? (char)(lower[i] - 'A' + 'a') : lower[i];
    }
    return name;
}

static struct api_entry entry_of(struct base_arena *arena, const Zandaka__V1__Entry *message)
{
    const Google__Protobuf__Timestamp *time = message->create_time;
    return (struct api_entry){
        .sequence = message->sequence,
        .transaction_id = base_text_of(message->transaction_id),
        .operation = operation_text(arena, message->operation),
        .kind = base_text_of(message->kind),
        .amount_minor = message->amount,
        .balance_after_minor = message->balance_after,
        .create_time_us =
            time == NULL ? 0 : time->seconds * BASE_US_PER_S + time->nanos / BASE_NS_PER_US,
        .description = base_text_of(message->description),
        .json = api_codec_to_json(arena, &message->base),
    };
}

bool api_read_entries(struct base_arena *arena, struct base_bytes message, size_t *ret_n_entries,
                      struct api_entry **ret_entries, struct base_text *ret_next_page_token)
{
    const Zandaka__V1__ListEntriesResponse *response =
        api_codec_unpack_answer(arena, &zandaka__v1__list_entries_response__descriptor, message);
    if (response == NULL) {
        return false;
    }
    struct api_entry *entries = base_arena_take(arena, response->n_entries * sizeof entries[0]);
    for (size_t i = 0; i < response->n_entries; i++) {
        entries[i] = entry_of(arena, response->entries[i]);
    }
    *ret_n_entries = response->n_entries;
    *ret_entries = entries;
    *ret_next_page_token = base_text_of(response->next_page_token);
    return true;
}

bool api_read_json(struct base_arena *arena, struct base_text path, struct base_bytes message,
                   struct base_text *ret_json)
{
    struct base_text prefix = BASE_TEXT(SERVICE_PATH);
    if (!base_text_starts_with(path, prefix)) {
        return false;
    }
    struct base_text name = {path.bytes + prefix.length, path.length - prefix.length};
    const ProtobufCMethodDescriptor *method = protobuf_c_service_descriptor_get_method_by_name(
        &zandaka__v1__balance_service__descriptor, string_of(arena, name));
    if (method == NULL) {
        return false;
    }
    const ProtobufCMessage *answer = api_codec_unpack_answer(arena, method->output, message);
    if (answer == NULL) {
        return false;
    }
    *ret_json = api_codec_to_json(arena, answer);
    return true;
}
