/*
 * The load: one thread, all connections in one poll. Every answer starts the next call at once, so
 * the number in flight stays what it was asked to be (a closed loop).
 */
#include "api/api.h"
#include "app/bench.h"
#include "net/net.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ACCOUNTS 10000

struct load;

/* One call's place: its request is made anew for each call, in memory that stays. */
struct slot {
    struct load *load;
    struct link *link;
    int64_t begun_ns;
};

struct link {
    int fd;
    struct wire_client *client;
    uint8_t *unsent_memory; /* BASE_WRITE_BUFFER_BYTES */
    struct base_bytes unsent;
};

struct load {
    const struct bench_load_options *options;
    struct bench_load_result result;
    struct base_arena arena; /* of the request that is being made, and of the answer being read */
    struct link *links;
    struct slot *slots;
    int64_t now_ns;
    int64_t until_ns;
    uint64_t next_id;
    uint64_t random;
    bool broken;
};

/* xorshift64: which account is next must cost nothing beside the call. */
static uint64_t next_random(struct load *load)
{
    load->random ^= load->random << 13;
    load->random ^= load->random >> 7;
    load->random ^= load->random << 17;
    return load->random;
}

static struct ledger_command make_command(struct load *load)
{
    struct ledger_amount *amount = base_arena_take(&load->arena, sizeof *amount);
    *amount = (struct ledger_amount){.kind = BASE_TEXT("points"), .amount_minor = 100};
    uint64_t number = load->next_id++;
    /* Callers' ids come in no order, so the hash of the number goes first. */
    uint64_t scattered = base_hash((struct base_bytes){(const uint8_t *)&number, sizeof number});
    return (struct ledger_command){
        .operation = RECORD_OPERATION_ADD,
        .transaction_id = base_arena_print(
            &load->arena, "%016llx-%llx-%llx", (unsigned long long)scattered,
            (unsigned long long)load->options->run_number, (unsigned long long)number),
        .account_id =
            base_arena_print(&load->arena, "account-%u", (unsigned)(next_random(load) % ACCOUNTS)),
        .n_amounts = 1,
        .amounts = amount};
}

static void begin_call(struct slot *slot)
{
    struct load *load = slot->load;
    struct api_call call;
    unsigned batch = load->options->batch;
    base_arena_reset(&load->arena);
    if (batch == 1) {
        struct ledger_command command = make_command(load);
        api_call_command(&load->arena, &command, &call);
    } else {
        struct ledger_command *commands = base_arena_take(&load->arena, batch * sizeof *commands);
        for (unsigned i = 0; i < batch; i++) {
            commands[i] = make_command(load);
        }
        api_call_submit(&load->arena, batch, commands, &call);
    }
    struct wire_call wire_call = {.path = call.path, .message = call.message, .timeout_ns = -1};
    slot->begun_ns = load->now_ns;
    if (!wire_client_call(slot->link->client, &wire_call, slot)) {
        load->broken = true;
    }
}

static void count_answer(struct load *load, const struct wire_response *response)
{
    struct api_result *results;
    size_t n_results;
    if (response->grpc_status != 0) {
        load->result.failures += load->options->batch;
        return;
    }
    if (load->options->batch == 1) {
        load->result.commands++;
        load->result.record_bytes = response->body.length;
        return;
    }
    base_arena_reset(&load->arena);
    if (!api_read_submit(&load->arena, response->body, &n_results, &results)) {
        load->result.failures += load->options->batch;
        return;
    }
    for (size_t i = 0; i < n_results; i++) {
        load->result.commands += results[i].succeeded ? 1 : 0;
        load->result.failures += results[i].succeeded ? 0 : 1;
        if (results[i].succeeded) {
            load->result.record_bytes = results[i].record.length;
        }
    }
}

static void take_answer(void *user, void *call_user, const struct wire_response *response)
{
    struct load *load = user;
    struct slot *slot = call_user;
    /* Read anew for each answer: one read of the socket brings many. */
    load->now_ns = base_now_mono_ns(&base_clock_system);
    bench_histogram_add(&load->result.latency, load->now_ns - slot->begun_ns);
    load->result.calls++;
    count_answer(load, response);
    if (response->grpc_status < 0) {
        load->broken = true;
    }
    if (!load->broken && load->now_ns < load->until_ns) {
        begin_call(slot);
    }
}

static const struct wire_client_events load_events = {take_answer};

/* Writes what the session has to say, as far as the socket takes it. */
static void send_link(struct load *load, struct link *link)
{
    for (;;) {
        if (link->unsent.length == 0) {
            link->unsent = (struct base_bytes){
                link->unsent_memory,
                wire_client_send(link->client, link->unsent_memory, BASE_WRITE_BUFFER_BYTES)};
        }
        if (link->unsent.length == 0) {
            return;
        }
        ssize_t n = write(link->fd, link->unsent.bytes, link->unsent.length);
        if (n < 0) {
            load->broken = load->broken || (errno != EAGAIN && errno != EINTR);
            return;
        }
        link->unsent.bytes += n;
        link->unsent.length -= (size_t)n;
    }
}

static void receive_link(struct load *load, struct link *link)
{
    uint8_t buffer[BASE_READ_BUFFER_BYTES];
    ssize_t n = read(link->fd, buffer, sizeof buffer);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0 || !wire_client_receive(link->client, (struct base_bytes){buffer, (size_t)n})) {
        load->broken = true;
    }
}

static bool open_links(struct load *load, struct base_arena *arena, struct base_text *ret_message)
{
    const struct bench_load_options *options = load->options;
    for (unsigned i = 0; i < options->connections; i++) {
        struct link *link = &load->links[i];
        link->fd = net_dial(options->server, 10000, arena, ret_message);
        if (link->fd < 0) {
            return false;
        }
        int failed = fcntl(link->fd, F_SETFL, O_NONBLOCK);
        base_assert(failed == 0);
        link->unsent_memory = base_allocate(BASE_WRITE_BUFFER_BYTES);
        link->client = wire_client_open(&load_events, load, options->server);
    }
    return true;
}

static void close_links(struct load *load)
{
    /* Closing answers every open call, which must begin no other. */
    load->broken = true;
    for (unsigned i = 0; i < load->options->connections; i++) {
        struct link *link = &load->links[i];
        if (link->client != NULL) {
            wire_client_close(link->client);
            free(link->unsent_memory);
        }
        if (link->fd >= 0) {
            (void)close(link->fd);
        }
    }
}

static bool calls_are_open(const struct load *load)
{
    for (unsigned i = 0; i < load->options->connections; i++) {
        if (wire_client_open_calls(load->links[i].client) > 0) {
            return true;
        }
    }
    return false;
}

static void run_load(struct load *load)
{
    const struct bench_load_options *options = load->options;
    struct pollfd *polled = base_allocate_zeroed(options->connections, sizeof *polled);
    unsigned n_slots = options->connections * options->in_flight;
    load->now_ns = base_now_mono_ns(&base_clock_system);
    int64_t begin_ns = load->now_ns;
    load->until_ns = begin_ns + options->duration_ns;
    for (unsigned i = 0; i < n_slots; i++) {
        load->slots[i] =
            (struct slot){.load = load, .link = &load->links[i % options->connections]};
        begin_call(&load->slots[i]);
    }
    while (!load->broken && calls_are_open(load)) {
        for (unsigned i = 0; i < options->connections; i++) {
            struct link *link = &load->links[i];
            send_link(load, link);
            polled[i] = (struct pollfd){.fd = link->fd, .events = POLLIN};
            if (link->unsent.length > 0) {
                polled[i].events |= POLLOUT;
            }
        }
        (void)poll(polled, options->connections, 1000);
        for (unsigned i = 0; i < options->connections; i++) {
            if ((polled[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
                receive_link(load, &load->links[i]);
            }
        }
    }
    load->result.duration_ns = base_now_mono_ns(&base_clock_system) - begin_ns;
    free(polled);
}

bool bench_load_run(const struct bench_load_options *options, struct base_arena *arena,
                    struct bench_load_result *ret_result, struct base_text *ret_message)
{
    struct load *load = base_allocate_zeroed(1, sizeof *load);
    load->options = options;
    load->random = options->run_number * 2 + 1;
    load->links = base_allocate_zeroed(options->connections, sizeof *load->links);
    load->slots = base_allocate_zeroed((size_t)options->connections * options->in_flight,
                                       sizeof *load->slots);
    for (unsigned i = 0; i < options->connections; i++) {
        load->links[i].fd = -1;
    }
    bool connected = open_links(load, arena, ret_message);
    if (connected) {
        run_load(load);
        if (load->broken) {
            *ret_message = BASE_TEXT("a connection broke under the load");
        }
    }
    bool sound = connected && !load->broken;
    *ret_result = load->result;
    close_links(load);
    base_arena_release(&load->arena);
    free(load->slots);
    free(load->links);
    free(load);
    return sound;
}
