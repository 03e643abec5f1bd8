/* A loop's mailbox: what other threads, and the loop itself, have it do. */
#include "net/loop.h"

#include <errno.h>
#include <unistd.h>

void net_post(struct net_loop *loop, struct net_message *message)
{
    struct net_message *head = atomic_load_explicit(&loop->mailbox, memory_order_relaxed);
    do {
        message->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&loop->mailbox, &head, message,
                                                    memory_order_release, memory_order_relaxed));
    if (head == NULL) {
        uint64_t one = 1;
        ssize_t written = write(loop->mailbox_fd, &one, sizeof one);
        base_assert(written == sizeof one);
    }
}

void net_loop_clear_mailbox_event(struct net_loop *loop)
{
    uint64_t count;
    ssize_t n = read(loop->mailbox_fd, &count, sizeof count);
    base_assert(n == sizeof count || errno == EAGAIN);
}

/* Moves what has been posted behind the letters that there are. */
static void empty_mailbox(struct net_loop *loop)
{
    struct net_message *newest =
        atomic_exchange_explicit(&loop->mailbox, NULL, memory_order_acquire);
    struct net_message *last = newest;
    struct net_message *oldest = NULL;
    while (newest != NULL) {
        struct net_message *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    if (oldest == NULL) {
        return;
    }
    if (loop->letters == NULL) {
        loop->letters = oldest;
    } else {
        loop->last_letter->next = oldest;
    }
    loop->last_letter = last;
}

static void run_letter(struct net_loop *loop)
{
    struct net_message *letter = loop->letters;
    loop->letters = letter->next;
    letter->run(letter);
}

void net_loop_read_mailbox(struct net_loop *loop)
{
    empty_mailbox(loop);
    while (loop->letters != NULL) {
        run_letter(loop);
    }
}

void net_loop_read_some_mail(struct net_loop *loop)
{
    empty_mailbox(loop);
    for (unsigned i = 0; i < BASE_LETTERS_ROUND_MAX && loop->letters != NULL; i++) {
        run_letter(loop);
        loop->n_letters_run++;
    }
}
