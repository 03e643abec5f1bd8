/*
 * What /metrics shows beside api's own counts: the service, its store, the connections and the
 * process.
 */
#ifndef ZANDAKA_APP_METRICS_H
#define ZANDAKA_APP_METRICS_H

#include "access/access.h"
#include "net/net.h"
#include "service/service.h"

#include <stdatomic.h>

/* Whose figures are gathered. All outlive it. */
struct app_metrics {
    struct service *service;
    const struct store *store;
    const struct access *access;      /* NULL: nobody is asked who calls */
    _Atomic(struct net_server *) net; /* NULL until it has been opened: its loops run before */
    int64_t start_time_us;
};

/* For api_options; its context is a struct app_metrics. Any thread. */
void app_metrics_write(void *context, struct base_writer *out);

#endif
