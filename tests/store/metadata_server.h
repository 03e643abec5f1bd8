/* A fake of Google's metadata server, on a free port of the loopback interface. */
#ifndef ZANDAKA_TESTS_STORE_METADATA_SERVER_H
#define ZANDAKA_TESTS_STORE_METADATA_SERVER_H

#include "base/base.h"

#include <pthread.h>
#include <stdatomic.h>

struct metadata_server {
    pthread_t thread;
    int listening;
    char host[32];
    atomic_int n_requests;
    pthread_mutex_t lock; /* held by a test: nobody is answered */
    char answer[BASE_ACCESS_TOKEN_ANSWER_MAX_BYTES + 256];
    char request[1024];
};

struct metadata_server *metadata_server_open(void);
/* From here on nobody listens. */
void metadata_server_stop(struct metadata_server *server);
/* Stops, and frees. */
void metadata_server_close(struct metadata_server *server);

/* What is answered from now on: that status and body; or that token. */
void metadata_server_answers(struct metadata_server *server, const char *status, const char *body);
void metadata_server_gives(struct metadata_server *server, const char *token, int lifetime_s);

#endif
