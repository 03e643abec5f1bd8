/* Reads, by the service's other line. What one shows is judged at the moment at which it is made.
 */
#include "sim/world.h"

#define ENTRIES_MAX 20

struct read {
    struct service_read read;
    struct sim_server *server;
    uint64_t incarnation; /* of the server that has it */
    struct base_text account_id;
    struct base_text transaction_id;
};

/* A dead server's reads are closed with it; nobody sees what they show. */
static bool is_heard(const struct read *read)
{
    return !read->server->dead && read->server->incarnation == read->incarnation;
}

static void show(struct service_read *base, struct store *store)
{
    struct read *read = base->context;
    struct sim_world *world = read->server->world;
    if (!is_heard(read)) {
        return;
    }
    struct ledger_account account;
    if (store_read_accounts(store, 1, &read->account_id, &world->arena, &account) == STORE_OK) {
        auditor_read_account(world->auditor, &account);
    }
    struct store_entries_query query = {
        .account_id = read->account_id,
        .below_sequence = INT64_MAX,
        .kind_numbers = UINT64_MAX,
        .operations = UINT32_MAX,
        .start_time_us = INT64_MIN,
        .end_time_us = INT64_MAX,
        .limit = ENTRIES_MAX,
        .scan_limit = ENTRIES_MAX,
    };
    struct store_entries_page page;
    if (store_read_entries(store, &query, &world->arena, &page) == STORE_OK) {
        auditor_read_entries(world->auditor, read->account_id, page.n_entries, page.entries);
    }
    bool found = false;
    struct base_bytes record = {0};
    if (store_read_transaction(store, read->transaction_id, &world->arena, &found, &record) ==
        STORE_OK) {
        auditor_read_transaction(world->auditor, read->transaction_id, found, record);
    }
}

static void done(struct service_read *base, enum base_reason reason)
{
    const struct read *read = base->context;
    if (is_heard(read)) {
        sim_trace(read->server->world, (uint64_t)reason);
    }
}

void sim_read_send(struct sim_world *world)
{
    struct sim_server *server =
        &world->servers[sim_random_below(&world->random, world->swarm.n_servers)];
    if (server->service == NULL || server->dead) {
        return;
    }
    size_t account = (size_t)sim_random_below(&world->random, world->swarm.n_accounts);
    uint64_t id = sim_random_below(&world->random, world->n_ids + 1);
    struct read *read = base_arena_take_zeroed(&world->arena, 1, sizeof *read);
    *read = (struct read){
        .read = {.run = show, .done = done, .deadline_mono_ns = BASE_NO_DEADLINE, .context = read},
        .server = server,
        .incarnation = server->incarnation,
        .account_id = sim_account_id(world, account),
        .transaction_id = base_arena_print(&world->arena, "t%llu", (unsigned long long)id),
    };
    if (sim_random_chance(&world->random, world->swarm.deadline)) {
        read->read.deadline_mono_ns =
            world->now_ns + sim_random_between(&world->random, 1, world->swarm.deadline_max_ns);
    }
    world->counts[SIM_COUNT_READS]++;
    if (service_submit_read(server->service, &read->read) == BASE_REASON_NONE) {
        sim_server_wake(server);
    }
}
