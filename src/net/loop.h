/*
 * The inside of net: what a loop, a connection and the server share. Everything of a loop but its
 * mailbox belongs to its thread; the server's counters are atomic.
 */
#ifndef ZANDAKA_NET_LOOP_H
#define ZANDAKA_NET_LOOP_H

#include "net/tls.h"

#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>

/* What a loop has still to do for its connections, each in its turn: first come, first served. */
enum net_line {
    NET_LINE_READ,  /* there may be more to read, whether or not epoll says so */
    NET_LINE_FLUSH, /* the session has something to send */
    NET_LINE_LATE,  /* the same, of connections that are busy: after the others */
    NET_LINE_COUNT
};

struct net_line_ends {
    struct net_connection *first;
    struct net_connection *last;
};

struct net_connection {
    struct net_loop *loop;
    void *session;
    struct net_socket socket;
    uint32_t interest;        /* what epoll was last told */
    int64_t opened_ns;        /* when it came */
    int64_t last_read_ns;     /* when bytes last came */
    int64_t last_write_ns;    /* when bytes last went out */
    size_t charged;           /* of the budget */
    struct base_bytes unsent; /* what a full socket left over, in unsent_memory */
    uint8_t *unsent_memory;   /* NULL: nothing is left over */
    int64_t half_record_ns;   /* since when part of a TLS record waits for its rest; 0: none does */
    bool read_ended;          /* the peer closed its side, or broke */
    bool closing;             /* the session has ended: send what there is, then close */
    bool lingering;           /* all is sent; what still comes is read and dropped */
    bool dead;                /* closed; freed at the end of the round */
    bool paused;              /* not read from, since the budget is spent */
    bool unread;              /* TLS holds more for us, of which epoll knows nothing */
    bool read_whole_turn;     /* the last read gave as much as a turn may: there may be more */
    bool in_line[NET_LINE_COUNT];
    struct net_connection *next_in_line[NET_LINE_COUNT];
    struct net_connection *next; /* all connections of the loop */
    struct net_connection *previous;
    struct net_connection *next_dead;
};

struct net_loop {
    struct net_server *server;
    pthread_t thread;
    int epoll_fd;
    int mailbox_fd; /* an eventfd: written when the mailbox stops being empty */
    _Atomic(struct net_message *) mailbox;
    atomic_bool stopping;
    _Atomic int64_t round_began_ns; /* for whoever watches whether the loop moves */
    struct net_message *letters;    /* taken from the mailbox and not yet run, oldest first */
    struct net_message *last_letter;
    unsigned n_letters_run; /* since the last of NET_LINE_LATE had its turn */
    struct net_connection *connections;
    struct net_line_ends lines[NET_LINE_COUNT];
    struct net_connection *dead;
    unsigned n_paused;
    struct net_connection *favoured; /* may read on although it holds much; NULL: nobody */
    int64_t now_ns;                  /* of this round */
    int64_t next_tick_ns;            /* when the connections are asked next whether they go on */
    bool accepting;               /* only the first loop: whether the listening socket is watched */
    bool draining;                /* no connection is taken any more */
    unsigned n_handshakes_failed; /* since it was last logged */
    int64_t overdrawn_since_ns;   /* since when twice the budget is spent; 0: it is not */
    /* No connection of the loop holds more: exact while twice the budget is spent, so that of all
     * the loops only the one that holds most cuts it off; before that it may be of one that has
     * gone. */
    atomic_size_t most_held_bytes;
    unsigned n_cut;        /* the same, of connections cut off for what they held */
    uint8_t *read_buffer;  /* BASE_READ_TURN_BYTES */
    uint8_t *write_buffer; /* BASE_WRITE_BUFFER_BYTES */
};

struct net_server {
    struct net_options options;
    struct base_arena arena; /* the texts of options.tls */
    int listen_fd;           /* -1 once the server drains; the first loop's while it runs */
    char address[80];        /* HOST:PORT as bound: an IPv6 host takes 46, a zone 16 */
    unsigned n_loops;
    struct net_loop *loops;
    bool stopped;       /* the loops' threads have ended */
    unsigned next_loop; /* which gets the next connection; the first loop's */
    atomic_size_t inflight_bytes;
    struct base_counter accepted;
    struct base_counter refused;
    pthread_mutex_t lock;   /* of n_connections, for who waits until there are none, and of tls */
    struct ssl_ctx_st *tls; /* for new connections; NULL: plaintext */
    pthread_cond_t none_left;
    unsigned n_connections;
};

/* --- address.c --- */

/* The addresses of HOST:PORT, by getaddrinfo with `flags`; freed by freeaddrinfo. Nobody is waited
 * for beyond until_ns, by base_now_mono_ns; INT64_MAX: as long as it takes. NULL: *ret_message says
 * why, in the arena. */
struct addrinfo *net_resolve(struct base_text address, int flags, int64_t until_ns,
                             struct base_arena *arena, struct base_text *ret_message);

/* --- lookup.c --- */

enum net_lookup_end {
    NET_LOOKUP_DONE,
    NET_LOOKUP_LATE,     /* there was no answer in time */
    NET_LOOKUP_TOO_MANY, /* BASE_LOOKUPS_MAX are under way */
    NET_LOOKUP_NO_THREAD /* the system gives none */
};
/* getaddrinfo, but it ends in time. NET_LOOKUP_DONE: what it gave, and 0 or its error. */
enum net_lookup_end net_look_up(const char *name, const char *service, const struct addrinfo *hints,
                                int64_t until_ns, int *ret_error, struct addrinfo **ret_found);

/* --- connection.c --- */

/* A connection, given to the loop by its own thread. Takes the descriptor. */
void net_loop_adopt(struct net_loop *loop, int fd);
/* The socket can be read: reads a turn, unless the budget says to wait. */
void net_connection_read(struct net_connection *connection);
/* Sends a turn of what the session has to say, or what the socket takes; ends the connection when
 * that was the last. Gives the bytes that the session said. */
size_t net_connection_flush(struct net_connection *connection);
/* Once twice the budget is spent nobody is read from, so that what is half received stays so: cuts
 * off the loop's connection that holds most, if no other loop has one that holds more, so that the
 * others go on. */
void net_loop_relieve(struct net_loop *loop);
/* Whether TLS is late: a handshake, or the rest of a record. */
bool net_connection_tls_is_late(const struct net_connection *connection);
/* Closes it, unless that was done; it is freed at the end of the round. */
void net_connection_close(struct net_connection *connection);
/* Has those that paused for the budget try again, once there may be room. */
void net_loop_resume_reading(struct net_loop *loop);
/* One more or one less: who waits for none is told. Any thread. */
void net_server_count_connection(struct net_server *server, int change);

/* --- loop.c --- */

/* The thread of a loop: begins, and goes round until it is to stop. */
void *net_loop_run(void *loop);
void net_loop_begin(struct net_loop *loop);
void net_loop_round(struct net_loop *loop);
/* Stops accepting and tells every connection's session. On the loop's thread. */
void net_loop_drain(struct net_loop *loop, bool last);
/* Closes every connection of a loop whose thread has ended, and frees its memory. */
void net_loop_release(struct net_loop *loop);

/* --- turns.c --- */

/* Whether it stands behind those that are not. */
bool net_connection_is_busy(const struct net_connection *connection);
/* Puts it last, unless it stands there already. */
void net_line_put(struct net_connection *connection, enum net_line line);
/* Whether the loop has something to do without hearing of anything. */
bool net_loop_has_turns(const struct net_loop *loop);
/* Lets the first that stand in line read, BASE_READ_TURNS_MAX at the most. */
void net_loop_read_turns(struct net_loop *loop);
/* Lets those that stand in line write. */
void net_loop_flush_turns(struct net_loop *loop);
/* Takes those that are closed out of all lines. */
void net_loop_drop_dead(struct net_loop *loop);

/* --- mailbox.c --- */

/* The mailbox's event has been heard of. */
void net_loop_clear_mailbox_event(struct net_loop *loop);
/* Runs what is in the mailbox, oldest first: all of it, or BASE_LETTERS_ROUND_MAX at the most. */
void net_loop_read_mailbox(struct net_loop *loop);
void net_loop_read_some_mail(struct net_loop *loop);

#endif
