#include "app/systemd.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* How long a full socket is waited for, in seconds; systemd empties its own at once. */
#define TELL_PATIENCE_S 1

/* The microseconds of WATCHDOG_USEC, where they are meant for this process; 0: none are. */
static int64_t watchdog_us(void)
{
    int64_t duration_us;
    int64_t pid;
    const char *for_process = getenv("WATCHDOG_PID");
    if (!base_text_to_int64(base_text_of(getenv("WATCHDOG_USEC")), &duration_us) ||
        duration_us < 1 || duration_us > INT64_MAX / BASE_NS_PER_US) {
        return 0;
    }
    if (for_process != NULL &&
        (!base_text_to_int64(base_text_of(for_process), &pid) || pid != (int64_t)getpid())) {
        return 0;
    }
    return duration_us;
}

void app_systemd_open(struct app_systemd *systemd)
{
    *systemd = (struct app_systemd){.fd = -1, .address.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL || path[0] == '\0') {
        return;
    }
    size_t length = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || length >= sizeof systemd->address.sun_path) {
        base_log(BASE_LOG_WARNING, "NOTIFY_SOCKET is no socket's address; systemd is told nothing");
        return;
    }
    memcpy(systemd->address.sun_path, path, length);
    if (path[0] == '@') {
        systemd->address.sun_path[0] = '\0'; /* a name that is no file */
    }
    systemd->address_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    systemd->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (systemd->fd < 0) {
        base_log(BASE_LOG_WARNING, "systemd cannot be told anything: %s", strerror(errno));
        return;
    }
    /* Whoever does not read what it asked to be told must not stop the server. */
    struct timeval patience = {.tv_sec = TELL_PATIENCE_S};
    int failed = setsockopt(systemd->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    base_assert(failed == 0);
    systemd->watchdog_ns = watchdog_us() * BASE_NS_PER_US;
}

void app_systemd_tell(const struct app_systemd *systemd, const char *lines)
{
    if (systemd->fd < 0) {
        return;
    }
    size_t length = strlen(lines);
    if (sendto(systemd->fd, lines, length, MSG_NOSIGNAL, (const struct sockaddr *)&systemd->address,
               systemd->address_length) != (ssize_t)length) {
        base_log(BASE_LOG_WARNING, "systemd could not be told: %s", strerror(errno));
    }
}

void app_systemd_close(struct app_systemd *systemd)
{
    if (systemd->fd >= 0) {
        (void)close(systemd->fd);
    }
}

bool app_pulse_beats(struct app_pulse *pulse, int64_t period_ns)
{
    struct net_figures net;
    net_server_read_figures(pulse->net, &net);
    struct service_figures service;
    service_read_figures(pulse->service, &service);
    bool loops_move = net.longest_round_ns <= period_ns + BASE_TICK_MS * BASE_NS_PER_MS;
    bool writer_moves = !pulse->writer_had_work || service.batches_ended != pulse->batches_ended;
    if (!loops_move) {
        base_log(BASE_LOG_ERROR, "an event loop has been in one round for %lld ms",
                 (long long)(net.longest_round_ns / BASE_NS_PER_MS));
    }
    if (!writer_moves) {
        base_log(BASE_LOG_ERROR, "the writer has ended no batch for %lld ms",
                 (long long)(period_ns / BASE_NS_PER_MS));
    }
    pulse->batches_ended = service.batches_ended;
    pulse->writer_had_work =
        service.queued_commands > 0 || service.batches_begun > service.batches_ended;
    return loops_move && writer_moves;
}
