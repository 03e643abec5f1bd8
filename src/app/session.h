/*
 * A connection of the server: what net reads goes into wire's session; a complete request becomes
 * an exchange of api; the exchange's answer goes back into the session, and out.
 */
#ifndef ZANDAKA_APP_SESSION_H
#define ZANDAKA_APP_SESSION_H

#include "api/api.h"
#include "app/request_log.h"
#include "net/net.h"

#include <stdatomic.h>

/* What all sessions of a server share. Outlives them. */
struct app_sessions {
    struct api *api;
    bool callers_are_known;               /* so that the names of certificates matter */
    atomic_uint_fast64_t next_connection; /* its number */
    struct app_request_log log;
};

/* For net_options; its context is a struct app_sessions. */
extern const struct net_handler app_session_handler;

#endif
