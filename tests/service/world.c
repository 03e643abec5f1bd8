#include "service/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int64_t virtual_real_us(void *context)
{
    return WORLD_START_US + ((const struct world *)context)->now_ns / 1000;
}

static int64_t virtual_mono_ns(void *context)
{
    return ((const struct world *)context)->now_ns;
}

static void virtual_wait(void *context, int64_t duration_ns)
{
    struct world *world = context;
    assert_true(duration_ns > 0);
    world->now_ns += duration_ns;
    world->waited_ns += duration_ns;
}

static void land_oldest(struct world *world)
{
    enum store_fault fault = STORE_UNKNOWN;
    assert_true(store_faulty_land(world->faulty, &fault));
    assert_int_equal(fault, STORE_OK);
}

static enum store_faulty_event next_event(struct world *world, const char **script)
{
    char letter = (*script)[0];
    if (letter == '\0') {
        return STORE_FAULTY_NONE;
    }
    if ((*script)[1] != '*') {
        (*script)++;
    }
    switch (letter) {
    case 'c':
        return STORE_FAULTY_CONFLICT;
    case 'u':
        return STORE_FAULTY_UNAVAILABLE;
    case 'd':
        return STORE_FAULTY_UNKNOWN_DONE;
    case 'l':
        return STORE_FAULTY_UNKNOWN_LOST;
    case 'o':
        return STORE_FAULTY_UNKNOWN_LATE;
    case 'a':
        land_oldest(world);
        return STORE_FAULTY_NONE;
    case 'x':
        return STORE_FAULTY_CORRUPT;
    case 'f':
        /* At the time of the batch's first attempt, so that what it does may also stand for that
         * attempt, arriving late. */
        world_do(world, world->script.foreign, WORLD_START_US);
        return STORE_FAULTY_NONE;
    default:
        assert_int_equal(letter, '.');
        return STORE_FAULTY_NONE;
    }
}

static enum store_faulty_event choose(void *context, enum store_faulty_call call)
{
    struct world *world = context;
    if (call == STORE_FAULTY_LOAD) {
        world->now_ns += world->load_ns;
        return next_event(world, &world->script.loads);
    }
    if (call == STORE_FAULTY_COMMIT) {
        world->now_ns += world->commit_ns;
        return next_event(world, &world->script.commits);
    }
    return STORE_FAULTY_NONE;
}

/* A store whose loads are corrupt when they need one certain transaction. It sees that every
 * working set that is loaded is committed or abandoned, once, before the next. */
struct corrupt_store {
    struct store base;
    struct world *world;
    struct store *wrapped;
};

static enum store_fault corrupt_load(struct store *base, unsigned session,
                                     struct ledger_facts *facts)
{
    struct corrupt_store *store = (struct corrupt_store *)base;
    struct world *world = store->world;
    assert_false(world->loaded);
    if (world->corrupt_id != NULL &&
        ledger_facts_transaction(facts, base_text_of(world->corrupt_id)) != NULL) {
        return STORE_CORRUPT;
    }
    enum store_fault fault = store_load(store->wrapped, session, facts);
    world->loaded = fault == STORE_OK;
    struct ledger_transaction *garbled =
        world->garbled_id != NULL && world->loaded
            ? ledger_facts_transaction(facts, base_text_of(world->garbled_id))
            : NULL;
    if (garbled != NULL && garbled->presence == LEDGER_RECORDED) {
        garbled->record = base_bytes_of(BASE_TEXT("garbled"));
    }
    return fault;
}

static void expect_loaded(struct world *world)
{
    assert_true(world->loaded);
    world->loaded = false;
}

static enum store_fault corrupt_commit(struct store *base, unsigned session,
                                       const struct ledger_facts *facts)
{
    struct corrupt_store *store = (struct corrupt_store *)base;
    expect_loaded(store->world);
    return store_commit(store->wrapped, session, facts);
}

static void corrupt_abandon(struct store *base, unsigned session, const struct ledger_facts *facts)
{
    struct corrupt_store *store = (struct corrupt_store *)base;
    expect_loaded(store->world);
    store_abandon(store->wrapped, session, facts);
}

static void corrupt_close(struct store *base)
{
    store_close(((struct corrupt_store *)base)->wrapped);
    free(base);
}

static struct store *corrupt_open(struct world *world, struct store *wrapped)
{
    /* The service writes through it and nothing else, so it has no reads. */
    static const struct store_backend backend = {
        .load = corrupt_load,
        .commit = corrupt_commit,
        .abandon = corrupt_abandon,
        .close = corrupt_close,
    };
    struct corrupt_store *store = base_allocate(sizeof *store);
    *store = (struct corrupt_store){.base = {.backend = &backend,
                                             .kinds = wrapped->kinds,
                                             .n_sessions = store_sessions(wrapped)},
                                    .world = world,
                                    .wrapped = wrapped};
    return &store->base;
}

void world_open(struct world *world)
{
    world_open_sessions(world, 1);
}

void world_open_sessions(struct world *world, unsigned n_sessions)
{
    *world = (struct world){.script = {.loads = "", .commits = "", .foreign = ""}};
    world->clock = (struct base_clock){virtual_real_us, virtual_mono_ns, world};
    world->kinds.n_kinds = 2;
    world->kinds.kinds[0] =
        (struct ledger_kind){BASE_TEXT("points"), INT64_MAX, BASE_AMOUNT_MAX, false};
    world->kinds.kinds[1] = (struct ledger_kind){BASE_TEXT("money"), INT64_MAX, 1000, false};
    world->memory = store_memory_open(&world->kinds);
    /* It takes any number: each load and each commit is one critical section. */
    world->memory->n_sessions = n_sessions;
    world->faulty = store_faulty_open(world->memory, choose, world);
    world->store = corrupt_open(world, world->faulty);
    world->service = service_open(&(struct service_options){
        .store = world->store, .kinds = &world->kinds, .clock = &world->clock, .seed = 1});
}

void world_close(struct world *world)
{
    if (world->service != NULL) {
        service_close(world->service);
    }
    assert_false(world->loaded);
    store_close(world->store);
    base_arena_release(&world->arena);
}

void world_set_script(struct world *world, struct world_script script)
{
    world->script = script;
    world->script.loads = script.loads != NULL ? script.loads : "";
    world->script.commits = script.commits != NULL ? script.commits : "";
    world->script.foreign = script.foreign != NULL ? script.foreign : "";
}

/* --- calls --- */

static struct ledger_command command_make(struct world *world, const char *text)
{
    char verb[16];
    char id[80];
    char account[80];
    char kind[40] = "points";
    long long amount = 0;
    int n = sscanf(text, " %15s %79s %79s %lld %39s", verb, id, account, &amount, kind);
    struct ledger_command command = {.transaction_id =
                                         base_arena_text(&world->arena, base_text_of(id))};
    if (strcmp(verb, "cancel") == 0) {
        assert_int_equal(n, 2);
        command.operation = RECORD_OPERATION_CANCEL;
        return command;
    }
    assert_true(n >= 4);
    command.operation = strcmp(verb, "add") == 0 ? RECORD_OPERATION_ADD : RECORD_OPERATION_CONSUME;
    command.account_id = base_arena_text(&world->arena, base_text_of(account));
    struct ledger_amount *amounts = base_arena_take_zeroed(&world->arena, 1, sizeof *amounts);
    amounts->kind = base_arena_text(&world->arena, base_text_of(kind));
    amounts->amount_minor = amount;
    command.n_amounts = 1;
    command.amounts = amounts;
    return command;
}

/* Splits in place; returns how many parts. */
static size_t split(char *text, const char *separator, size_t max, char **ret_parts)
{
    size_t n = 0;
    for (char *next = text; next != NULL;) {
        assert_true(n < max);
        ret_parts[n++] = next;
        next = strstr(next, separator);
        if (next != NULL) {
            *next = '\0';
            next += strlen(separator);
        }
    }
    return n;
}

static char *writable(struct world *world, const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(base_arena_take(&world->arena, size), text, size);
}

static size_t commands_make(struct world *world, const char *text, struct ledger_command *commands)
{
    static char *parts[BASE_SUBMIT_MAX];
    size_t n = split(writable(world, text), "; ", BASE_SUBMIT_MAX, parts);
    for (size_t i = 0; i < n; i++) {
        commands[i] = command_make(world, parts[i]);
    }
    return n;
}

static void note_done(struct service_call *call)
{
    ((struct world_call *)call->context)->n_done++;
}

struct world_call *world_call_make(struct world *world, const char *text)
{
    struct world_call *made = base_arena_take_zeroed(&world->arena, 1, sizeof *made);
    made->world = world;
    made->call.deadline_mono_ns = BASE_NO_DEADLINE;
    if (text[0] == '@') {
        made->call.deadline_mono_ns = strtoll(text + 1, NULL, 10) * 1000000;
        text = strchr(text, ' ') + 1;
    }
    static struct ledger_command commands[BASE_SUBMIT_MAX];
    made->call.n_commands = commands_make(world, text, commands);
    size_t size = made->call.n_commands * sizeof commands[0];
    made->call.commands = memcpy(base_arena_take(&world->arena, size), commands, size);
    made->call.results =
        base_arena_take_zeroed(&world->arena, made->call.n_commands, sizeof *made->call.results);
    made->call.arena = &world->arena;
    made->call.done = note_done;
    made->call.context = made;
    return made;
}

size_t world_submit(struct world *world, const char *calls, struct world_call **ret_calls)
{
    char *parts[BASE_BATCH_MAX];
    size_t n = split(writable(world, calls), " | ", BASE_BATCH_MAX, parts);
    for (size_t i = 0; i < n; i++) {
        ret_calls[i] = world_call_make(world, parts[i]);
        assert_int_equal(service_submit(world->service, &ret_calls[i]->call), BASE_REASON_NONE);
        assert_int_equal(ret_calls[i]->n_done, 0);
    }
    return n;
}

void world_run(struct world *world)
{
    while (service_step(world->service, virtual_wait, world)) {
    }
}

void world_do(struct world *world, const char *commands, int64_t now_us)
{
    if (commands[0] == '\0') {
        return;
    }
    struct ledger_command made[64];
    size_t n = commands_make(world, commands, made);
    struct ledger_facts facts;
    ledger_facts_open(&facts, &world->kinds, &world->arena);
    for (size_t i = 0; i < n; i++) {
        ledger_facts_need(&facts, &made[i]);
    }
    assert_int_equal(store_load(world->memory, 0, &facts), STORE_OK);
    for (size_t i = 0; i < n; i++) {
        struct ledger_outcome outcome;
        assert_true(ledger_decide(&facts, &made[i], now_us, &outcome));
        assert_int_equal(outcome.result, LEDGER_APPLIED);
    }
    assert_int_equal(store_commit(world->memory, 0, &facts), STORE_OK);
}

/* --- what became of it --- */

/* The record that a call was given is the one that is stored, byte for byte. */
static void expect_stored(struct world *world, struct base_text id, struct base_bytes record)
{
    bool found = false;
    struct base_bytes stored;
    assert_int_equal(store_read_transaction(world->memory, id, &world->arena, &found, &stored),
                     STORE_OK);
    assert_true(found);
    assert_true(base_bytes_equal(stored, record));
}

const char *world_told(struct world *world, const struct world_call *call)
{
    struct base_text told = BASE_TEXT("");
    for (size_t i = 0; i < call->call.n_commands; i++) {
        const struct service_result *result = &call->call.results[i];
        const char *word = result->replayed ? "replayed" : "applied";
        if (result->refusal.reason != BASE_REASON_NONE) {
            word = base_error_of(result->refusal.reason)->reason;
            assert_int_equal(result->record.length, 0);
        } else {
            expect_stored(world, call->call.commands[i].transaction_id, result->record);
        }
        told = base_arena_print(&world->arena, "%s%s%s", told.bytes, i > 0 ? "; " : "", word);
    }
    return told.bytes;
}

const char *world_journal(struct world *world)
{
    struct base_text ids = BASE_TEXT("");
    struct store_cursor *cursor = store_cursor_open(world->memory, STORE_TABLE_JOURNAL);
    struct store_row row;
    bool found = false;
    while (store_cursor_next(cursor, &found, &row) == STORE_OK && found) {
        struct record_transaction transaction;
        assert_true(record_decode(&world->arena, row.record, &transaction));
        ids = base_arena_print(&world->arena, "%s%s%.*s", ids.bytes, ids.length > 0 ? " " : "",
                               BASE_TEXT_ARGS(transaction.transaction_id));
    }
    store_cursor_close(cursor);
    return ids.bytes;
}

uint64_t world_store_faults(const struct service_figures *figures)
{
    uint64_t sum = 0;
    for (size_t i = 0; i <= STORE_CORRUPT; i++) {
        sum += figures->store_faults[i];
    }
    return sum;
}

uint64_t world_refused(const struct service_figures *figures)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < BASE_REASON_COUNT; i++) {
        sum += figures->refused[i];
    }
    return sum;
}
