/* The server: opens store, service, api and net from the inside out, waits for a signal, and closes
 * them from the outside in. */
#include "app/app.h"
#include "app/metrics.h"
#include "app/open_files.h"
#include "app/session.h"
#include "app/systemd.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

struct server {
    struct store *store;
    struct service *service;
    struct access *access; /* NULL: nobody is asked who calls */
    struct api *api;
    struct net_server *net;
    struct app_metrics metrics;
    struct app_sessions sessions;
    struct app_systemd systemd;
};

static unsigned count_cores(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > BASE_LOOPS_MAX ? BASE_LOOPS_MAX : (unsigned)cores;
}

/* The signals are blocked in every thread, which inherit this, and taken by wait_for_signal. */
static sigset_t block_signals(void)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    int failed = pthread_sigmask(SIG_BLOCK, &signals, NULL);
    base_assert(failed == 0);
    return signals;
}

static void reload_tls(struct server *server, struct base_arena *arena)
{
    struct base_text message;
    if (net_server_reload_tls(server->net, arena, &message)) {
        base_log(BASE_LOG_INFO, "SIGHUP: new connections get the certificate as it is now");
    } else {
        base_log(BASE_LOG_ERROR, "SIGHUP: %.*s; the certificate that was read before stays in use",
                 BASE_TEXT_ARGS(message));
    }
}

static void reload_callers(struct server *server, const struct app_config *config,
                           struct base_arena *arena)
{
    struct app_callers callers;
    struct base_text message;
    if (app_callers_load(arena, config->callers_file.bytes, &config->kinds, &callers, &message)) {
        access_replace(server->access, callers.n_callers, callers.callers);
        base_log(BASE_LOG_INFO, "SIGHUP: %zu caller%s may call from now on", callers.n_callers,
                 callers.n_callers == 1 ? "" : "s");
    } else {
        base_log(BASE_LOG_ERROR, "SIGHUP: %.*s; the callers that were read before stay",
                 BASE_TEXT_ARGS(message));
    }
}

/* Reads again what may change while the server runs. What is broken is told, and the old stays: a
 * slip in a file must not end the service. */
static void reload(struct server *server, const struct app_config *config)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text lines =
        base_arena_print(&arena, "RELOADING=1\nMONOTONIC_USEC=%lld",
                         (long long)(base_now_mono_ns(&base_clock_system) / BASE_NS_PER_US));
    app_systemd_tell(&server->systemd, lines.bytes);
    if (config->tls.certificate.length > 0) {
        reload_tls(server, &arena);
    }
    if (server->access != NULL) {
        reload_callers(server, config, &arena);
    }
    if (config->tls.certificate.length == 0 && server->access == NULL) {
        base_log(BASE_LOG_INFO, "SIGHUP: no files to read again");
    }
    app_systemd_tell(&server->systemd, "READY=1");
    base_arena_release(&arena);
}

/* The next signal, or 0 once it is `until_ns`. */
static int next_signal(const sigset_t *signals, int64_t until_ns)
{
    for (;;) {
        int64_t left_ns = until_ns - base_now_mono_ns(&base_clock_system);
        if (left_ns < 0) {
            return 0;
        }
        struct timespec left = {.tv_sec = (time_t)(left_ns / BASE_NS_PER_S),
                                .tv_nsec = (long)(left_ns % BASE_NS_PER_S)};
        int signal_number = sigtimedwait(signals, NULL, &left);
        if (signal_number > 0) {
            return signal_number;
        }
        base_assert(errno == EAGAIN || errno == EINTR);
    }
}

/* How often the watchdog looks: so often that one look that finds nothing wrong is enough. */
#define LOOKS_PER_WATCHDOG 4
/* Without a watchdog there is nothing to wake up for: a day. */
#define NO_WATCHDOG_NS (INT64_C(86400) * BASE_NS_PER_S)

/* Until a signal to end comes. */
static void wait_for_signal(const sigset_t *signals, struct server *server,
                            const struct app_config *config)
{
    const struct app_systemd *systemd = &server->systemd;
    const bool watched = systemd->watchdog_ns > 0;
    const int64_t wait_ns = watched ? systemd->watchdog_ns / LOOKS_PER_WATCHDOG : NO_WATCHDOG_NS;
    struct app_pulse pulse = {.service = server->service, .net = server->net};
    int64_t next_look_ns = base_now_mono_ns(&base_clock_system) + wait_ns;
    int signal_number;
    do {
        signal_number = next_signal(signals, next_look_ns);
        if (signal_number == SIGHUP) {
            reload(server, config);
        } else if (signal_number == 0) {
            if (watched && app_pulse_beats(&pulse, wait_ns)) {
                app_systemd_tell(systemd, "WATCHDOG=1");
            }
            next_look_ns = base_now_mono_ns(&base_clock_system) + wait_ns;
        }
    } while (signal_number == 0 || signal_number == SIGHUP);
    app_systemd_tell(systemd, "STOPPING=1");
    base_log(BASE_LOG_INFO, "signal %d: draining", signal_number);
    /* Serves on while it says that it is not ready, so that whoever balances sends nothing more. A
     * second signal cuts it short. */
    api_set_draining(server->api);
    if (config->lame_duck_ms > 0) {
        (void)next_signal(signals, base_now_mono_ns(&base_clock_system) +
                                       config->lame_duck_ms * BASE_NS_PER_MS);
    }
}

static uint64_t random_seed(void)
{
    uint64_t seed;
    /* It tells this server's commits from every other's, so nothing else will do. */
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        base_stop("the system gives no random number: %s", strerror(errno));
    }
    return seed;
}

/* Writes HOST:PORT so that whoever waits for the file sees it whole or not at all. */
static bool write_address_file(struct base_text path, struct base_text address,
                               struct base_arena *arena)
{
    struct base_text part = base_arena_print(arena, "%.*s.part", BASE_TEXT_ARGS(path));
    struct base_text whole = base_arena_text(arena, path);
    FILE *file = fopen(part.bytes, "we");
    if (file == NULL) {
        base_log(BASE_LOG_ERROR, "cannot write %s: %s", part.bytes, strerror(errno));
        return false;
    }
    bool written = fprintf(file, "%.*s\n", BASE_TEXT_ARGS(address)) > 0;
    written = fclose(file) == 0 && written;
    if (!written || rename(part.bytes, whole.bytes) != 0) {
        base_log(BASE_LOG_ERROR, "cannot write %s: %s", whole.bytes, strerror(errno));
        return false;
    }
    return true;
}

static void greet(struct base_text address, const struct app_config *config,
                  struct base_arena *arena)
{
    struct base_text store_url = app_store_shown_url(config->store_url, arena);
    if (config->tls.certificate.length > 0 || config->callers.n_callers > 0) {
        (void)printf("zandaka " ZANDAKA_VERSION " serves %.*s on %.*s", BASE_TEXT_ARGS(store_url),
                     BASE_TEXT_ARGS(address));
        if (config->tls.certificate.length > 0) {
            (void)printf(", with TLS%s",
                         config->tls.peer_required ? " and callers' certificates" : "");
        }
        if (config->callers.n_callers > 0) {
            (void)printf(", to %zu caller%s", config->callers.n_callers,
                         config->callers.n_callers == 1 ? "" : "s");
        }
        (void)printf("\n");
        (void)fflush(stdout);
        return;
    }
    (void)printf("zandaka " ZANDAKA_VERSION " serves %.*s on %.*s\n\n"
                 "Try it, and then try the same again:\n"
                 "  curl -i -H 'content-type: application/json' "
                 "http://%.*s/zandaka.v1.BalanceService/Add -d '{\"transactionId\":\"grant-1\","
                 "\"accountId\":\"alice\",\"amounts\":[{\"kind\":\"points\",\"amount\":100}]}'\n"
                 "  %s consume --server %.*s --id order-1 --account alice "
                 "points=30\n\n",
                 BASE_TEXT_ARGS(store_url), BASE_TEXT_ARGS(address), BASE_TEXT_ARGS(address),
                 program_invocation_name, BASE_TEXT_ARGS(address));
    (void)fflush(stdout);
}

static void open_engine(struct server *server, const struct app_config *config)
{
    struct service_options service_options = {.store = server->store,
                                              .kinds = &config->kinds,
                                              .clock = &base_clock_system,
                                              .n_readers = BASE_READERS,
                                              .seed = random_seed()};
    server->service = service_open(&service_options);
    if (config->callers_file.length > 0) {
        server->access = access_open(config->callers.n_callers, config->callers.callers);
    }
    struct api_options api_options = {.service = server->service,
                                      .store = server->store,
                                      .kinds = &config->kinds,
                                      .clock = &base_clock_system,
                                      .access = server->access,
                                      .write_metrics = app_metrics_write,
                                      .metrics_context = &server->metrics};
    server->metrics.service = server->service;
    server->metrics.store = server->store;
    server->metrics.access = server->access;
    server->metrics.start_time_us = base_now_real_us(&base_clock_system);
    atomic_init(&server->metrics.net, NULL);
    server->api = api_open(&api_options);
    server->sessions.api = server->api;
    server->sessions.callers_are_known = server->access != NULL;
    atomic_init(&server->sessions.next_connection, 1);
    server->sessions.log.seed = random_seed();
    server->sessions.log.slow_ns = config->slow_ms * BASE_NS_PER_MS;
}

static struct net_server *open_net(struct server *server, const struct app_config *config,
                                   unsigned connections_max, struct base_arena *arena)
{
    struct net_options options = {.listen = config->listen,
                                  .n_loops = count_cores(),
                                  .connections_max = connections_max,
                                  .inflight_max_bytes = BASE_INFLIGHT_MAX_BYTES,
                                  .tls = config->tls,
                                  .handler = &app_session_handler,
                                  .context = &server->sessions};
    struct base_text message;
    struct net_server *net = net_server_open(&options, arena, &message);
    if (net == NULL) {
        base_log(BASE_LOG_ERROR, "%.*s", BASE_TEXT_ARGS(message));
    }
    return net;
}

/* The drain waits for the calls under way. Whatever it had to cut off is still answered by
 * service_close, into mailboxes that net_server_close empties: no write is dropped half-way. The
 * loops end before, because nothing may be submitted to a service that closes. */
static void close_all(struct server *server)
{
    if (server->net != NULL) {
        api_set_draining(server->api);
        net_server_drain(server->net, BASE_DRAIN_TIMEOUT_MS);
        net_server_stop(server->net);
    }
    service_close(server->service);
    if (server->net != NULL) {
        net_server_close(server->net);
    }
    api_close(server->api);
    if (server->access != NULL) {
        access_close(server->access);
    }
    store_close(server->store);
}

enum app_exit app_serve(const struct app_config *config)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct server server = {0};
    struct base_text message;
    enum app_exit status = APP_EXIT_COULD_NOT;
    sigset_t signals = block_signals();
    base_log_configure(config->log_form, config->log_level);
    unsigned connections_max;
    if (!app_open_files_allow(BASE_CONNECTIONS_MAX, &arena, &connections_max, &message)) {
        base_log(BASE_LOG_ERROR, "%.*s", BASE_TEXT_ARGS(message));
        base_arena_release(&arena);
        return APP_EXIT_COULD_NOT;
    }
    server.store = app_store_open(config->store_url, &config->kinds, &arena, &message, &status);
    if (server.store == NULL) {
        base_log(BASE_LOG_ERROR, "%.*s", BASE_TEXT_ARGS(message));
        base_arena_release(&arena);
        return status;
    }
    app_systemd_open(&server.systemd);
    open_engine(&server, config);
    server.net = open_net(&server, config, connections_max, &arena);
    if (server.net != NULL) {
        atomic_store(&server.metrics.net, server.net);
        struct base_text address = net_server_address(server.net);
        greet(address, config, &arena);
        if (config->address_file.length == 0 ||
            write_address_file(config->address_file, address, &arena)) {
            app_systemd_tell(&server.systemd, "READY=1");
            wait_for_signal(&signals, &server, config);
            status = APP_EXIT_DONE;
        } else {
            status = APP_EXIT_COULD_NOT;
        }
    } else {
        status = APP_EXIT_COULD_NOT;
    }
    close_all(&server);
    app_systemd_close(&server.systemd);
    base_arena_release(&arena);
    return status;
}
