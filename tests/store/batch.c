#include "batch.h"

#include <stdlib.h>
#include <string.h>

struct batch *batch_open(const struct ledger_kinds *kinds)
{
    struct batch *batch = base_allocate_zeroed(1, sizeof *batch);
    ledger_facts_open(&batch->facts, kinds, &batch->arena);
    return batch;
}

void batch_close(struct batch *batch)
{
    base_arena_release(&batch->arena);
    free(batch);
}

void batch_add(struct batch *batch, const struct ledger_command *command)
{
    base_assert(batch->n_commands < BASE_BATCH_MAX);
    batch->commands[batch->n_commands] = *command;
    ledger_facts_need(&batch->facts, &batch->commands[batch->n_commands]);
    batch->n_commands++;
}

void batch_add_line(struct batch *batch, const char *line)
{
    /* The line is cut into words in a copy that lives as long as the batch. */
    char *rest = (char *)(uintptr_t)base_arena_text(&batch->arena, base_text_of(line)).bytes;
    const char *operation = strsep(&rest, " ");
    struct ledger_amount *amounts =
        base_arena_take_zeroed(&batch->arena, BASE_AMOUNTS_MAX, sizeof *amounts);
    struct ledger_command command = {.amounts = amounts};
    command.operation = strcmp(operation, "add") == 0       ? RECORD_OPERATION_ADD
                        : strcmp(operation, "consume") == 0 ? RECORD_OPERATION_CONSUME
                                                            : RECORD_OPERATION_CANCEL;
    command.transaction_id = base_text_of(strsep(&rest, " "));
    if (command.operation != RECORD_OPERATION_CANCEL) {
        command.account_id = base_text_of(strsep(&rest, " "));
    }
    char *word;
    while ((word = strsep(&rest, " ")) != NULL) {
        struct ledger_amount *amount = &amounts[command.n_amounts++];
        amount->kind = base_text_of(strsep(&word, "="));
        bool whole = base_text_to_int64(base_text_of(word), &amount->amount_minor);
        base_assert(whole);
    }
    batch_add(batch, &command);
}

enum store_fault batch_load(struct batch *batch, struct store *store)
{
    return store_load(store, 0, &batch->facts);
}

void batch_decide(struct batch *batch, int64_t now_us)
{
    for (size_t i = 0; i < batch->n_commands; i++) {
        bool decided =
            ledger_decide(&batch->facts, &batch->commands[i], now_us, &batch->outcomes[i]);
        base_assert(decided);
    }
}

enum store_fault batch_commit(struct batch *batch, struct store *store)
{
    return store_commit(store, 0, &batch->facts);
}

enum store_fault batch_run(struct batch *batch, struct store *store, int64_t now_us)
{
    enum store_fault fault = batch_load(batch, store);
    if (fault != STORE_OK) {
        return fault;
    }
    batch_decide(batch, now_us);
    return batch_commit(batch, store);
}

enum store_fault batch_run_lines(struct store *store, int64_t now_us, size_t n_lines,
                                 const char *const *lines)
{
    struct batch *batch = batch_open(store_kinds(store));
    for (size_t i = 0; i < n_lines; i++) {
        batch_add_line(batch, lines[i]);
    }
    enum store_fault fault = batch_run(batch, store, now_us);
    batch_close(batch);
    return fault;
}
