/*
 * A caller does one operation after another: it sends a request, waits for its answer or a
 * time-out, and repeats it while the answer says `same_request`, as contract 6 asks. When it has
 * tried often enough it gives up, and then may want to be certain: it fences what it has tried.
 */
#include "sim/world.h"

#include <string.h>

#define BACKOFF_FIRST_NS (5 * SIM_MILLISECOND_NS)
/* A fence is what a caller is stubborn about. */
#define FENCE_TRIES 12

static void send_again(struct sim_world *world, void *subject, uint64_t number);
static void begin(struct sim_world *world, void *subject, uint64_t number);

static void next_operation(struct sim_world *world, struct sim_caller *caller)
{
    caller->operation++;
    sim_after(world, 1 + sim_delay(world, world->swarm.pause_max_ns), begin, caller,
              caller->operation);
}

static void give_up(struct sim_world *world, struct sim_caller *caller)
{
    if (caller->fencing || !sim_random_chance(&world->random, world->swarm.fence_after_giving_up)) {
        next_operation(world, caller);
        return;
    }
    caller->operation++;
    caller->fencing = true;
    caller->tries_left = FENCE_TRIES;
    struct ledger_command *fences =
        base_arena_take(&world->arena, caller->n_commands * sizeof *fences);
    for (size_t i = 0; i < caller->n_commands; i++) {
        fences[i] = sim_command_fence(caller->commands[i].transaction_id);
    }
    caller->commands = fences;
    send_again(world, caller, caller->operation);
}

/* After a pause that doubles, and is never the same for two. Once for all the answers to one send:
 * of an operation that is scattered there are many. */
static void retry_or_give_up(struct sim_world *world, struct sim_caller *caller)
{
    if (caller->retrying) {
        return;
    }
    if (caller->tries_left == 0) {
        give_up(world, caller);
        return;
    }
    unsigned tried = caller->fencing ? FENCE_TRIES - caller->tries_left
                                     : world->swarm.tries - caller->tries_left;
    int64_t pause_ns = BACKOFF_FIRST_NS << (tried < 8 ? tried : 8);
    caller->retrying = true;
    sim_after(world, sim_random_between(&world->random, pause_ns / 2, pause_ns), send_again, caller,
              caller->operation);
}

static void time_out(struct sim_world *world, void *subject, uint64_t number)
{
    struct sim_caller *caller = subject;
    if (number != caller->send) {
        return; /* it has sent again, or was told */
    }
    world->counts[SIM_COUNT_TIMEOUTS]++;
    caller->send++;
    retry_or_give_up(world, caller);
}

/* What is sent is a copy: a repeat may be labelled anew, and the old one is still on its way. */
static struct sim_attempt *attempt_make(struct sim_world *world, struct sim_caller *caller,
                                        size_t n_commands, const struct ledger_command *commands)
{
    struct sim_attempt *attempt = base_arena_take(&world->arena, sizeof *attempt);
    struct ledger_command *copy = base_arena_take(&world->arena, n_commands * sizeof *copy);
    memcpy(copy, commands, n_commands * sizeof *copy);
    bool has_deadline = sim_misfortune(world, world->swarm.deadline);
    *attempt = (struct sim_attempt){
        .caller = caller,
        .operation = caller->operation,
        .n_commands = n_commands,
        .commands = copy,
        .timeout_ns = has_deadline
                          ? sim_random_between(&world->random, 1, world->swarm.deadline_max_ns)
                          : BASE_NO_DEADLINE,
    };
    return attempt;
}

static void send_request(struct sim_world *world, struct sim_caller *caller, size_t n_commands,
                         const struct ledger_command *commands)
{
    struct sim_attempt *attempt = attempt_make(world, caller, n_commands, commands);
    world->counts[SIM_COUNT_REQUESTS]++;
    world->counts[SIM_COUNT_COMMANDS] += n_commands;
    world->n_commands += n_commands;
    for (size_t i = 0; i < n_commands; i++) {
        const struct ledger_command *command = &attempt->commands[i];
        world->counts[SIM_COUNT_FENCES] += command->operation == RECORD_OPERATION_CANCEL;
        sim_trace(world, base_hash(base_bytes_of(command->description)));
        sim_tell_command(world, command, "caller %llu sends: %s",
                         (unsigned long long)caller->number, sim_command_text(world, command));
    }
    sim_network_send(world, attempt);
    if (sim_misfortune(world, world->swarm.hedge)) {
        sim_network_send(world, attempt);
    }
}

/* All of the operation: as one request, or each command as one of its own. Then the first answer
 * decides how the caller goes on, as with a caller that has lost count. */
static void send(struct sim_world *world, struct sim_caller *caller)
{
    base_assert(caller->tries_left > 0);
    if (sim_random_chance(&world->random, world->swarm.scatter)) {
        for (size_t i = 0; i < caller->n_commands; i++) {
            send_request(world, caller, 1, &caller->commands[i]);
        }
    } else {
        send_request(world, caller, caller->n_commands, caller->commands);
    }
    caller->retrying = false;
    caller->send++;
    caller->tries_left--;
    sim_after(world, world->swarm.timeout_ns, time_out, caller, caller->send);
}

static void send_again(struct sim_world *world, void *subject, uint64_t number)
{
    struct sim_caller *caller = subject;
    if (number != caller->operation) {
        return;
    }
    for (size_t i = 0; i < caller->n_commands; i++) {
        caller->commands[i] = sim_command_again(world, caller->commands[i]);
    }
    send(world, caller);
}

static void begin(struct sim_world *world, void *subject, uint64_t number)
{
    struct sim_caller *caller = subject;
    if (number != caller->operation || world->healing) {
        return;
    }
    if (world->n_commands >= world->swarm.n_commands) {
        return; /* the day is over */
    }
    if (sim_random_chance(&world->random, world->swarm.read)) {
        sim_read_send(world);
    }
    bool is_submit = sim_random_chance(&world->random, world->swarm.submit);
    caller->n_commands =
        is_submit ? 1 + (size_t)sim_random_below(&world->random, world->swarm.submit_max) : 1;
    caller->commands = sim_commands_make(world, caller->n_commands);
    caller->tries_left = world->swarm.tries;
    caller->fencing = false;
    send(world, caller);
}

void sim_caller_told(struct sim_world *world, const struct sim_delivery *delivery)
{
    struct sim_caller *caller = delivery->attempt->caller;
    if (delivery->attempt->operation != caller->operation) {
        return;
    }
    caller->send++; /* no time-out any more */
    for (size_t i = 0; i < delivery->call.n_commands; i++) {
        enum base_reason reason = delivery->call.results[i].refusal.reason;
        if (reason != BASE_REASON_NONE &&
            strcmp(base_error_of(reason)->retry, "same_request") == 0) {
            retry_or_give_up(world, caller);
            return;
        }
    }
    next_operation(world, caller);
}

void sim_caller_open(struct sim_world *world, unsigned number)
{
    struct sim_caller *caller = &world->callers[number];
    caller->number = number;
    next_operation(world, caller);
}

void sim_callers_settle(struct sim_world *world)
{
    for (size_t i = 0; i < world->n_ids; i++) {
        const struct sim_id *id = &world->ids[i];
        struct sim_caller *caller = &world->callers[0];
        for (int turn = 0; turn < 3; turn++) {
            struct ledger_command *command = base_arena_take(&world->arena, sizeof *command);
            *command = turn == 1 ? sim_command_fence(id->variants[0].transaction_id)
                                 : id->variants[sim_random_below(&world->random, id->n_variants)];
            caller->operation++;
            caller->n_commands = 1;
            caller->commands = command;
            caller->tries_left = 1;
            caller->fencing = true;
            send(world, caller);
            sim_pass_time(world, 10 * SIM_MICROSECOND_NS);
        }
    }
}
