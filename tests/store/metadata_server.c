#include "metadata_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void *serve(void *argument)
{
    struct metadata_server *server = argument;
    int peer;
    while ((peer = accept(server->listening, NULL, NULL)) >= 0) {
        size_t length = 0;
        ssize_t more = 1;
        while (more > 0 &&
               (length < 4 || memcmp(server->request + length - 4, "\r\n\r\n", 4) != 0)) {
            more = read(peer, server->request + length, sizeof server->request - 1 - length);
            length += more > 0 ? (size_t)more : 0;
        }
        server->request[length] = '\0';
        atomic_fetch_add(&server->n_requests, 1);
        (void)pthread_mutex_lock(&server->lock);
        const char *answer = server->answer;
        size_t left = strlen(answer);
        while (left > 0 && (more = send(peer, answer, left, MSG_NOSIGNAL)) > 0) {
            answer += more;
            left -= (size_t)more;
        }
        (void)pthread_mutex_unlock(&server->lock);
        (void)close(peer);
    }
    return NULL;
}

struct metadata_server *metadata_server_open(void)
{
    struct metadata_server *server = base_allocate_zeroed(1, sizeof *server);
    (void)pthread_mutex_init(&server->lock, NULL);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    server->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    base_assert(bind(server->listening, (struct sockaddr *)&address, sizeof address) == 0);
    base_assert(listen(server->listening, 16) == 0);
    base_assert(getsockname(server->listening, (struct sockaddr *)&address, &length) == 0);
    (void)snprintf(server->host, sizeof server->host, "127.0.0.1:%d", ntohs(address.sin_port));
    base_assert(pthread_create(&server->thread, NULL, serve, server) == 0);
    return server;
}

/* From here on nobody listens. */
void metadata_server_stop(struct metadata_server *server)
{
    (void)shutdown(server->listening, SHUT_RDWR);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listening);
}

void metadata_server_close(struct metadata_server *server)
{
    metadata_server_stop(server);
    (void)pthread_mutex_destroy(&server->lock);
    free(server);
}

void metadata_server_answers(struct metadata_server *server, const char *status, const char *body)
{
    (void)pthread_mutex_lock(&server->lock);
    (void)snprintf(server->answer, sizeof server->answer,
                   "HTTP/1.0 %s\r\nContent-Type: application/json\r\n\r\n%s", status, body);
    (void)pthread_mutex_unlock(&server->lock);
}

void metadata_server_gives(struct metadata_server *server, const char *token, int lifetime_s)
{
    char body[BASE_ACCESS_TOKEN_ANSWER_MAX_BYTES];
    (void)snprintf(body, sizeof body,
                   "{\"access_token\":\"%s\",\"expires_in\":%d,\"token_type\":\"Bearer\"}", token,
                   lifetime_s);
    metadata_server_answers(server, "200 OK", body);
}
