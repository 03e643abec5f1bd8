/*
 * A program that runs beside a test program, from its first use to its end: it says `ready` and a
 * word, obeys one command a line, answers each with a word, and ends when its input does, also when
 * the test program is killed. One thread at a time.
 */
#ifndef ZANDAKA_TESTS_STORE_COMPANION_H
#define ZANDAKA_TESTS_STORE_COMPANION_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#define COMPANION_WORD_MAX_BYTES 128

/* Static, and all zeros at first. */
struct companion {
    bool tried;
    pid_t process; /* 0: there is none */
    FILE *commands;
    FILE *answers;
    char word[COMPANION_WORD_MAX_BYTES]; /* what it was ready with */
    struct companion *next;              /* of those that are to be ended */
};

/* Starts it at the first call, with these arguments, the program's path first and NULL behind the
 * last. False: it has ended with 77, having said that it cannot run on this machine; anything else
 * ends the test program, which names it `what`. */
bool companion_is_present(struct companion *companion, const char *what,
                          const char *const *arguments);
/* Sends a command and waits for the answer; none ends the test program. */
void companion_send(struct companion *companion, const char *command,
                    char answer[COMPANION_WORD_MAX_BYTES]);

#endif
