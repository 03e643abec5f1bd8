#include "app/bench_calls.h"

/* Ids that the workloads of replays go through; the first time each is new. */
#define REPLAYED_IDS 10000
#define HISTORY_PAGE 20

struct bench_source bench_source_open(const struct bench_load_options *options)
{
    return (struct bench_source){.options = options, .random = options->run_number * 2 + 1};
}

/* xorshift64: choosing must cost nothing beside the call. */
static uint64_t next_random(struct bench_source *source)
{
    source->random ^= source->random << 13;
    source->random ^= source->random >> 7;
    source->random ^= source->random << 17;
    return source->random;
}

/* Callers' ids come in no order, so the hash of the number goes first. */
static struct base_text id_of(const struct bench_source *source, struct base_arena *arena,
                              char family, uint64_t number)
{
    uint64_t scattered = base_hash((struct base_bytes){(const uint8_t *)&number, sizeof number});
    return base_arena_print(arena, "%016llx-%c%llx-%llx", (unsigned long long)scattered, family,
                            (unsigned long long)source->options->run_number,
                            (unsigned long long)number);
}

static struct base_text account_of(struct bench_source *source, struct base_arena *arena)
{
    return base_arena_print(arena, "account-%u",
                            (unsigned)(next_random(source) % source->options->accounts));
}

static enum bench_operation pick_mixed(struct bench_source *source, bool *ret_history,
                                       bool *ret_consume)
{
    unsigned percent = (unsigned)(next_random(source) % 100);
    *ret_consume = percent < 35;
    *ret_history = percent >= 90 && percent < 95;
    if (percent < 50) {
        return BENCH_ADD;
    }
    if (percent < 95) {
        return BENCH_BALANCE;
    }
    return percent < 98 ? BENCH_REPLAY : BENCH_REFUSED;
}

static struct ledger_command make_write(struct bench_source *source, struct base_arena *arena,
                                        enum bench_operation operation, bool consume)
{
    struct ledger_amount *amount = base_arena_take(arena, sizeof *amount);
    /* What comes in outweighs what a mixed load takes out, so that few payments lack cover. */
    *amount =
        (struct ledger_amount){.kind = BASE_TEXT("points"), .amount_minor = consume ? 10 : 100};
    struct ledger_command command = {.operation =
                                         consume ? RECORD_OPERATION_CONSUME : RECORD_OPERATION_ADD,
                                     .n_amounts = 1,
                                     .amounts = amount};
    uint64_t number = source->next_id++;
    switch (operation) {
    case BENCH_REPLAY:
        /* Everything about it hangs on its number, so that it is the same each time. */
        number %= REPLAYED_IDS;
        command.transaction_id = id_of(source, arena, 'r', number);
        command.account_id =
            base_arena_print(arena, "account-%u", (unsigned)(number % source->options->accounts));
        break;
    case BENCH_REFUSED:
        command.transaction_id = id_of(source, arena, 'p', number);
        command.account_id = base_arena_print(arena, "poor-%u", (unsigned)(number % 1000));
        break;
    case BENCH_ADD_HOT:
        command.transaction_id = id_of(source, arena, 'h', number);
        command.account_id = BASE_TEXT("hot");
        break;
    default:
        command.transaction_id = id_of(source, arena, 'n', number);
        command.account_id = account_of(source, arena);
    }
    return command;
}

static void make_read(struct bench_source *source, struct base_arena *arena, bool history,
                      struct api_call *ret_call)
{
    struct base_text account = account_of(source, arena);
    if (history) {
        api_call_list_entries(arena, account, BASE_TEXT(""), HISTORY_PAGE, BASE_TEXT(""), ret_call);
    } else {
        api_call_get_balance(arena, account, ret_call);
    }
}

enum bench_operation bench_call_make(struct bench_source *source, struct base_arena *arena,
                                     struct api_call *ret_call)
{
    const struct bench_workload *workload = source->options->workload;
    enum bench_operation operation = workload->operation;
    bool history = false;
    bool consume = operation == BENCH_REFUSED;
    if (operation == BENCH_MIXED) {
        operation = pick_mixed(source, &history, &consume);
        consume = consume || operation == BENCH_REFUSED;
    }
    if (operation == BENCH_DOOR) {
        make_read(source, arena, false, ret_call);
        ret_call->path = BASE_TEXT("/zandaka.v1.BalanceService/NoSuchMethod");
    } else if (operation == BENCH_BALANCE) {
        make_read(source, arena, history, ret_call);
    } else if (workload->commands == 1) {
        struct ledger_command command = make_write(source, arena, operation, consume);
        api_call_command(arena, &command, ret_call);
    } else {
        struct ledger_command *commands =
            base_arena_take(arena, workload->commands * sizeof *commands);
        for (unsigned i = 0; i < workload->commands; i++) {
            commands[i] = make_write(source, arena, operation, consume);
        }
        api_call_submit(arena, workload->commands, commands, ret_call);
    }
    return operation;
}

static void judge_submit(const struct bench_source *source, struct base_arena *arena,
                         const struct wire_response *response, struct bench_load_result *result)
{
    struct api_result *results;
    size_t n_results;
    if (!api_read_submit(arena, response->body, &n_results, &results)) {
        result->failures += source->options->workload->commands;
        return;
    }
    for (size_t i = 0; i < n_results; i++) {
        result->done += results[i].succeeded ? 1 : 0;
        result->failures += results[i].succeeded ? 0 : 1;
        if (results[i].succeeded) {
            result->record_bytes = results[i].record.length;
        }
    }
}

void bench_call_judge(const struct bench_source *source, enum bench_operation operation,
                      struct base_arena *arena, const struct wire_response *response,
                      struct bench_load_result *result)
{
    unsigned commands = source->options->workload->commands;
    enum base_code wanted = operation == BENCH_REFUSED ? BASE_CODE_FAILED_PRECONDITION
                            : operation == BENCH_DOOR  ? BASE_CODE_UNIMPLEMENTED
                                                       : BASE_CODE_OK;
    result->calls++;
    /* A mixed load's payment may lack cover too: that is an answer as good as any. */
    bool mixed_refusal = source->options->workload->operation == BENCH_MIXED &&
                         response->grpc_status == BASE_CODE_FAILED_PRECONDITION;
    if (response->grpc_status != (int)wanted && !mixed_refusal) {
        result->failures += commands;
        return;
    }
    if (commands > 1) {
        judge_submit(source, arena, response, result);
        return;
    }
    result->done++;
    if (operation == BENCH_ADD || operation == BENCH_ADD_HOT) {
        result->record_bytes =
            response->body.length > 0 ? response->body.length : result->record_bytes;
    }
}
