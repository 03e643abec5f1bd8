/*
 * The load: one thread, all connections in one poll. In a closed loop every answer begins the next
 * call at once, so the number in flight stays what it was asked to be. In an open loop calls are
 * due by the clock, and what is late to begin counts as slow: otherwise a server that stalls would
 * be asked less while it does, and look better than it is (coordinated omission).
 */
#include "app/bench_calls.h"
#include "net/net.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct load;

/* One call's place. */
struct slot {
    struct load *load;
    struct link *link;
    int64_t begun_ns; /* or due, in an open loop */
    enum bench_operation operation;
    struct slot *next_idle;
};

struct link {
    struct net_stream *stream;
    struct wire_client *client;
    uint8_t *unsent_memory; /* BASE_WRITE_BUFFER_BYTES */
    struct base_bytes unsent;
};

struct load {
    const struct bench_load_options *options;
    struct bench_source source;
    struct bench_load_result result;
    struct base_arena arena; /* of the request that is being made, and of the answer being read */
    struct link *links;
    struct slot *slots;
    struct slot *idle; /* an open loop's slots without a call */
    int64_t now_ns;
    int64_t begin_ns;
    int64_t until_ns;
    uint64_t n_begun;
    bool broken;
};

static bool is_over(const struct load *load)
{
    return load->broken || load->now_ns >= load->until_ns ||
           (load->options->calls_max > 0 && load->n_begun >= load->options->calls_max);
}

static void begin_call(struct slot *slot, int64_t begun_ns)
{
    struct load *load = slot->load;
    struct api_call call;
    base_arena_reset(&load->arena);
    slot->operation = bench_call_make(&load->source, &load->arena, &call);
    slot->begun_ns = begun_ns;
    load->n_begun++;
    struct wire_header authorization = {BASE_TEXT("authorization"),
                                        load->options->server->authorization};
    struct wire_call wire_call = {.path = call.path,
                                  .message = call.message,
                                  .timeout_ns = -1,
                                  .n_headers = authorization.value.length > 0 ? 1 : 0,
                                  .headers = &authorization};
    if (!wire_client_call(slot->link->client, &wire_call, slot)) {
        load->broken = true;
    }
}

/* When the next call of an open loop is due. */
static int64_t next_due_ns(const struct load *load)
{
    return load->begin_ns + (int64_t)((double)load->n_begun * 1e9 / (double)load->options->rate);
}

static void begin_what_is_due(struct load *load)
{
    while (load->idle != NULL && !is_over(load)) {
        int64_t due_ns = next_due_ns(load);
        if (due_ns > load->now_ns) {
            return;
        }
        struct slot *slot = load->idle;
        load->idle = slot->next_idle;
        begin_call(slot, due_ns);
    }
}

static void take_answer(void *user, void *call_user, const struct wire_response *response)
{
    struct load *load = user;
    struct slot *slot = call_user;
    /* Read anew for each answer: one read of the socket brings many. */
    load->now_ns = base_now_mono_ns(&base_clock_system);
    bench_histogram_add(&load->result.latency, load->now_ns - slot->begun_ns);
    base_arena_reset(&load->arena);
    bench_call_judge(&load->source, slot->operation, &load->arena, response, &load->result);
    if (response->grpc_status < 0) {
        load->broken = true;
    }
    if (load->options->rate > 0) {
        slot->next_idle = load->idle;
        load->idle = slot;
    } else if (!is_over(load)) {
        begin_call(slot, load->now_ns);
    }
}

static const struct wire_client_events load_events = {.response = take_answer};

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
        size_t n;
        enum net_result result = net_stream_send(link->stream, link->unsent, &n);
        if (result != NET_DONE) {
            load->broken = load->broken || result != NET_WAIT;
            return;
        }
        link->unsent.bytes += n;
        link->unsent.length -= n;
    }
}

static void receive_link(struct load *load, struct link *link)
{
    uint8_t buffer[BASE_READ_BUFFER_BYTES];
    size_t n;
    enum net_result result;
    while ((result = net_stream_receive(link->stream, buffer, sizeof buffer, &n)) == NET_DONE) {
        if (!wire_client_receive(link->client, (struct base_bytes){buffer, n})) {
            load->broken = true;
            return;
        }
        if (!load->options->server->network.tls) {
            /* The poll that follows tells of the rest, and costs less than to be told of none. */
            return;
        }
    }
    load->broken = load->broken || result != NET_WAIT;
}

static bool open_links(struct load *load, struct base_arena *arena, struct base_text *ret_message)
{
    const struct bench_load_options *options = load->options;
    for (unsigned i = 0; i < options->workload->connections; i++) {
        struct link *link = &load->links[i];
        link->stream = net_dial(&options->server->network, arena, ret_message);
        if (link->stream == NULL) {
            return false;
        }
        link->unsent_memory = base_allocate(BASE_WRITE_BUFFER_BYTES);
        link->client = wire_client_open(&load_events, load, options->server->network.address,
                                        options->server->network.tls);
    }
    return true;
}

static void close_links(struct load *load)
{
    /* Closing answers every open call, which must begin no other. */
    load->broken = true;
    for (unsigned i = 0; i < load->options->workload->connections; i++) {
        struct link *link = &load->links[i];
        if (link->client != NULL) {
            wire_client_close(link->client);
            free(link->unsent_memory);
        }
        if (link->stream != NULL) {
            net_stream_close(link->stream);
        }
    }
}

static bool calls_are_open(const struct load *load)
{
    for (unsigned i = 0; i < load->options->workload->connections; i++) {
        if (wire_client_open_calls(load->links[i].client) > 0) {
            return true;
        }
    }
    return false;
}

/* Sends what there is, and waits for answers, or until a call is due. */
static void wait_for_answers(struct load *load, struct pollfd *polled)
{
    unsigned n_links = load->options->workload->connections;
    for (unsigned i = 0; i < n_links; i++) {
        struct link *link = &load->links[i];
        send_link(load, link);
        polled[i] = (struct pollfd){.fd = net_stream_descriptor(link->stream), .events = POLLIN};
        if (link->unsent.length > 0) {
            polled[i].events |= POLLOUT;
        }
    }
    int64_t wait_ns = 1000000000;
    if (load->options->rate > 0 && load->idle != NULL && !is_over(load)) {
        wait_ns = next_due_ns(load) - base_now_mono_ns(&base_clock_system);
        wait_ns = wait_ns < 0 ? 0 : wait_ns;
    }
    struct timespec wait = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};
    (void)ppoll(polled, n_links, &wait, NULL);
    load->now_ns = base_now_mono_ns(&base_clock_system);
    for (unsigned i = 0; i < n_links; i++) {
        if ((polled[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
            receive_link(load, &load->links[i]);
        }
    }
}

static void run_load(struct load *load)
{
    const struct bench_workload *workload = load->options->workload;
    struct pollfd *polled = base_allocate_zeroed(workload->connections, sizeof *polled);
    load->now_ns = base_now_mono_ns(&base_clock_system);
    load->begin_ns = load->now_ns;
    load->until_ns = load->begin_ns + load->options->duration_ns;
    for (unsigned i = 0; i < workload->connections * workload->in_flight; i++) {
        struct slot *slot = &load->slots[i];
        *slot = (struct slot){.load = load, .link = &load->links[i % workload->connections]};
        if (load->options->rate > 0) {
            slot->next_idle = load->idle;
            load->idle = slot;
        } else if (!is_over(load)) {
            begin_call(slot, load->now_ns);
        }
    }
    while (!load->broken && (calls_are_open(load) || !is_over(load))) {
        if (load->options->rate > 0) {
            begin_what_is_due(load);
        }
        wait_for_answers(load, polled);
    }
    load->result.duration_ns = load->now_ns - load->begin_ns;
    free(polled);
}

bool bench_load_run(const struct bench_load_options *options, struct base_arena *arena,
                    struct bench_load_result *ret_result, struct base_text *ret_message)
{
    const struct bench_workload *workload = options->workload;
    struct load *load = base_allocate_zeroed(1, sizeof *load);
    load->options = options;
    load->source = bench_source_open(options);
    load->links = base_allocate_zeroed(workload->connections, sizeof *load->links);
    load->slots = base_allocate_zeroed((size_t)workload->connections * workload->in_flight,
                                       sizeof *load->slots);
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
