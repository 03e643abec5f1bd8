/*
 * What systemd is told, by its notification protocol (sd_notify(3): datagrams to the socket that
 * NOTIFY_SOCKET names): that the server is ready, reloads, stops, and, as a watchdog, that it
 * moves. The protocol is a few lines and promised to stay; libsystemd would bring five libraries
 * into the process that it does not need.
 */
#ifndef ZANDAKA_APP_SYSTEMD_H
#define ZANDAKA_APP_SYSTEMD_H

#include "net/net.h"
#include "service/service.h"

#include <sys/socket.h>
#include <sys/un.h>

struct app_systemd {
    int fd; /* -1: nobody wants to be told */
    struct sockaddr_un address;
    socklen_t address_length;
    int64_t watchdog_ns; /* how long systemd waits for a sign of life; 0: it does not */
};

/* From the environment (NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID). Without it nothing is told. */
void app_systemd_open(struct app_systemd *systemd);
/* Tells lines such as `READY=1`. That nobody listens any more is no reason to stop. */
void app_systemd_tell(const struct app_systemd *systemd, const char *lines);
void app_systemd_close(struct app_systemd *systemd);

/* What the watchdog looks at. All zeros but for the first two: not looked so far. */
struct app_pulse {
    struct service *service;
    struct net_server *net;
    uint64_t batches_ended; /* when it was last looked */
    bool writer_had_work;
};

/* Whether every loop has come round within `period_ns`, the time since the last look, and the
 * writer, if there was work for it then, has ended a batch since. */
bool app_pulse_beats(struct app_pulse *pulse, int64_t period_ns) BASE_MUST_USE;

#endif
