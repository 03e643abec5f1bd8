/* The store as one server sees it: the memory that all share, behind delays, crashes and faults. */
#include "sim/world.h"

/* Requests that the server has learn that its store has failed. */
static void note_failure(struct sim_server *server, bool unknown)
{
    for (struct sim_delivery *at = server->deliveries; at != NULL; at = at->next) {
        auditor_store_failed(&at->request, unknown);
    }
}

void sim_observe(struct sim_world *world)
{
    for (;;) {
        struct base_bytes record;
        bool found = false;
        enum store_fault fault = store_read_journal(world->memory, world->n_observed + 1,
                                                    &world->arena, &found, &record);
        base_assert(fault == STORE_OK);
        if (!found) {
            return;
        }
        world->n_observed++;
        sim_trace(world, base_hash(record));
        auditor_recorded(world->auditor, record);
        struct record_transaction transaction;
        if (world->telling && record_decode(&world->arena, record, &transaction)) {
            sim_tell(world, transaction.transaction_id, transaction.account_id,
                     "journal %zu: %.*s %s", world->n_observed,
                     BASE_TEXT_ARGS(transaction.transaction_id),
                     transaction.state == RECORD_STATE_CANCELLED ? "is fenced" : "has succeeded");
        }
    }
}

/* --- damage --- */

/* What is damaged has changed: the auditor hears of it, and so do the requests under way. */
static void damage(struct sim_world *world, struct base_text account_id,
                   struct base_text transaction_id)
{
    world->damaged_account_id = account_id;
    world->damaged_transaction_id = transaction_id;
    auditor_damaged(world->auditor, account_id, transaction_id);
    for (unsigned i = 0; i < world->swarm.n_servers; i++) {
        for (struct sim_delivery *at = world->servers[i].deliveries; at != NULL; at = at->next) {
            auditor_met_damage(world->auditor, &at->request);
        }
    }
    sim_tell(world, transaction_id, account_id, "account `%.*s` and transaction `%.*s` are damaged",
             BASE_TEXT_ARGS(account_id), BASE_TEXT_ARGS(transaction_id));
}

void sim_store_mend(struct sim_world *world)
{
    damage(world, (struct base_text){0}, (struct base_text){0});
}

static void end_damage(struct sim_world *world, void *subject, uint64_t number)
{
    (void)subject;
    (void)number;
    sim_store_mend(world);
}

static void begin_damage(struct sim_world *world, void *subject, uint64_t number)
{
    (void)subject;
    (void)number;
    if (world->healing) {
        return;
    }
    struct base_text none = {0};
    bool is_account = sim_random_chance(&world->random, 500);
    bool is_transaction = !is_account || sim_random_chance(&world->random, 300);
    size_t account = (size_t)sim_random_below(&world->random, world->swarm.n_accounts);
    uint64_t id = sim_random_below(&world->random, world->n_ids + 1);
    damage(world, is_account ? sim_account_id(world, account) : none,
           is_transaction ? base_arena_print(&world->arena, "t%llu", (unsigned long long)id)
                          : none);
    sim_after(world, sim_random_between(&world->random, 1, world->swarm.damage_max_ns), end_damage,
              NULL, 0);
}

void sim_store_begin_damage(struct sim_world *world)
{
    if (world->swarm.damage_after_ns > 0) {
        sim_after(world, world->swarm.damage_after_ns, begin_damage, NULL, 0);
    }
}

static bool is_damaged(struct base_text damaged, struct base_text id)
{
    return damaged.length > 0 && base_text_equal(damaged, id);
}

/* A store does not say which of the things that it is asked for it cannot read. */
static bool meets_damage(const struct sim_world *world, const struct ledger_facts *facts)
{
    for (size_t i = 0; i < facts->n_accounts; i++) {
        if (is_damaged(world->damaged_account_id, facts->accounts[i]->account_id)) {
            return true;
        }
    }
    for (size_t i = 0; i < facts->n_transactions; i++) {
        if (is_damaged(world->damaged_transaction_id, facts->transactions[i]->transaction_id)) {
            return true;
        }
    }
    return false;
}

/* --- beneath the faults --- */

static struct sim_world *world_of(const struct sim_door *door)
{
    return door->server->world;
}

static bool time_passes(const struct sim_server *server)
{
    return !server->closing && !server->landing && !server->dead;
}

static void delay(struct sim_server *server)
{
    if (time_passes(server)) {
        struct sim_world *world = server->world;
        sim_server_pass_time(server, sim_delay(world, world->swarm.store_delay_max_ns));
    }
}

static enum store_fault door_load(struct store *base, unsigned session, struct ledger_facts *facts)
{
    struct sim_door *door = (struct sim_door *)base;
    if (meets_damage(world_of(door), facts)) {
        world_of(door)->counts[SIM_COUNT_DAMAGED]++;
        return STORE_CORRUPT;
    }
    enum store_fault fault = store_load(world_of(door)->memory, session, facts);
    delay(door->server);
    return fault;
}

static void tell_doubts(struct sim_server *server, const struct ledger_facts *facts)
{
    struct sim_world *world = server->world;
    note_failure(server, true);
    for (size_t i = 0; i < facts->n_new; i++) {
        struct base_text transaction_id = facts->new_transactions[i]->transaction_id;
        sim_tell(world, transaction_id, (struct base_text){0},
                 "server %u: the commit of %.*s has an unknown outcome (%s)", server->number,
                 BASE_TEXT_ARGS(transaction_id),
                 server->event == STORE_FAULTY_UNKNOWN_DONE   ? "written"
                 : server->event == STORE_FAULTY_UNKNOWN_LATE ? "on its way"
                                                              : "lost");
    }
}

static enum store_fault door_commit(struct store *base, unsigned session,
                                    const struct ledger_facts *facts)
{
    struct sim_door *door = (struct sim_door *)base;
    struct sim_server *server = door->server;
    struct sim_world *world = server->world;
    enum store_fault fault = store_commit(world->memory, session, facts);
    world->counts[SIM_COUNT_COMMITS]++;
    if (server->landing) {
        return fault;
    }
    if (fault != STORE_OK) {
        world->counts[SIM_COUNT_REAL_CONFLICTS]++;
        note_failure(server, false);
    } else if (server->event == STORE_FAULTY_UNKNOWN_DONE) {
        tell_doubts(server, facts);
    }
    sim_observe(world);
    if (time_passes(server) && fault == STORE_OK &&
        sim_misfortune(world, world->swarm.crash_after_commit)) {
        world->counts[SIM_COUNT_CRASHES_AFTER_COMMIT]++;
        longjmp(server->crash, 1);
    }
    delay(server);
    return fault;
}

static void door_abandon(struct store *base, unsigned session, const struct ledger_facts *facts)
{
    struct sim_door *door = (struct sim_door *)base;
    struct sim_server *server = door->server;
    if (server->event == STORE_FAULTY_UNKNOWN_LOST || server->event == STORE_FAULTY_UNKNOWN_LATE) {
        tell_doubts(server, facts);
    }
    store_abandon(world_of(door)->memory, session, facts);
}

static enum store_fault door_read_transaction(struct store *base, struct base_text transaction_id,
                                              struct base_arena *arena, bool *ret_found,
                                              struct base_bytes *ret_record)
{
    struct sim_world *world = world_of((struct sim_door *)base);
    if (is_damaged(world->damaged_transaction_id, transaction_id)) {
        return STORE_CORRUPT;
    }
    return store_read_transaction(world->memory, transaction_id, arena, ret_found, ret_record);
}

static enum store_fault door_read_accounts(struct store *base, size_t n,
                                           const struct base_text *account_ids,
                                           struct base_arena *arena,
                                           struct ledger_account *ret_accounts)
{
    struct sim_world *world = world_of((struct sim_door *)base);
    for (size_t i = 0; i < n; i++) {
        if (is_damaged(world->damaged_account_id, account_ids[i])) {
            return STORE_CORRUPT;
        }
    }
    return store_read_accounts(world->memory, n, account_ids, arena, ret_accounts);
}

static enum store_fault door_read_entries(struct store *base,
                                          const struct store_entries_query *query,
                                          struct base_arena *arena,
                                          struct store_entries_page *ret_page)
{
    struct sim_world *world = world_of((struct sim_door *)base);
    if (is_damaged(world->damaged_account_id, query->account_id)) {
        return STORE_CORRUPT;
    }
    return store_read_entries(world->memory, query, arena, ret_page);
}

/* The memory is the world's, and outlives its servers. */
static void door_close(struct store *base)
{
    (void)base;
}

/* --- the faults --- */

static void land(struct sim_world *world, void *subject, uint64_t number)
{
    (void)number;
    struct sim_server *server = subject;
    enum store_fault fault = STORE_CONFLICT;
    server->landing = true;
    bool landed = store_faulty_land(server->store, &fault);
    server->landing = false;
    base_assert(landed);
    server->n_late--;
    world->counts[SIM_COUNT_LANDED] += fault == STORE_OK;
    sim_observe(world);
}

static bool is_unavailable(struct sim_server *server)
{
    struct sim_world *world = server->world;
    if (world->healing) {
        return false;
    }
    if (sim_misfortune(world, world->swarm.spell)) {
        server->unavailable_until_ns =
            world->now_ns + sim_random_between(&world->random, 0, world->swarm.spell_max_ns);
    }
    return server->unavailable_until_ns > world->now_ns ||
           sim_misfortune(world, world->swarm.unavailable);
}

static enum store_faulty_event choose_for_commit(struct sim_server *server)
{
    struct sim_world *world = server->world;
    if (sim_misfortune(world, world->swarm.conflict)) {
        world->counts[SIM_COUNT_CONFLICTS]++;
        return STORE_FAULTY_CONFLICT;
    }
    if (sim_misfortune(world, world->swarm.unknown_done)) {
        world->counts[SIM_COUNT_UNKNOWN_DONE]++;
        return STORE_FAULTY_UNKNOWN_DONE;
    }
    if (sim_misfortune(world, world->swarm.unknown_lost)) {
        world->counts[SIM_COUNT_UNKNOWN_LOST]++;
        return STORE_FAULTY_UNKNOWN_LOST;
    }
    if (server->n_late < SIM_LATE_MAX && sim_misfortune(world, world->swarm.unknown_late)) {
        world->counts[SIM_COUNT_UNKNOWN_LATE]++;
        server->n_late++;
        sim_after(world, sim_delay(world, world->swarm.late_max_ns), land, server, 0);
        return STORE_FAULTY_UNKNOWN_LATE;
    }
    return STORE_FAULTY_NONE;
}

static enum store_faulty_event choose(void *context, enum store_faulty_call call)
{
    struct sim_server *server = context;
    struct sim_world *world = server->world;
    server->event = STORE_FAULTY_NONE;
    if (server->dead) {
        return STORE_FAULTY_UNAVAILABLE;
    }
    if (call == STORE_FAULTY_READ) {
        return sim_misfortune(world, world->swarm.read_unavailable) ? STORE_FAULTY_UNAVAILABLE
                                                                    : STORE_FAULTY_NONE;
    }
    delay(server);
    enum store_faulty_event event = STORE_FAULTY_NONE;
    if (is_unavailable(server)) {
        world->counts[SIM_COUNT_UNAVAILABLE]++;
        event = STORE_FAULTY_UNAVAILABLE;
    } else if (call == STORE_FAULTY_COMMIT) {
        event = choose_for_commit(server);
    }
    if (event != STORE_FAULTY_NONE) {
        sim_trace(world, (uint64_t)event);
        note_failure(server, false);
    }
    server->event = event;
    return event;
}

struct store *sim_store_open(struct sim_server *server)
{
    static const struct store_backend backend = {
        .load = door_load,
        .commit = door_commit,
        .abandon = door_abandon,
        .read_transaction = door_read_transaction,
        .read_accounts = door_read_accounts,
        .read_entries = door_read_entries,
        .close = door_close,
    };
    server->door = (struct sim_door){{.backend = &backend,
                                      .kinds = &server->world->kinds,
                                      .n_sessions = server->world->swarm.n_sessions},
                                     server};
    return store_faulty_open(&server->door.base, choose, server);
}
