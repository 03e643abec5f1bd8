#include "app/last_words.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static const struct {
    int number;
    const char *words;
} signals[] = {
    {SIGABRT, "error: the process was aborted"},
    {SIGSEGV, "error: the process met memory that is not there"},
    {SIGBUS, "error: the process met memory or a page of a file that cannot be had"},
    {SIGFPE, "error: the process met an impossible calculation"},
    {SIGILL, "error: the process met an impossible instruction"},
};

#define N_SIGNALS (sizeof signals / sizeof signals[0])

static const char advice[] =
    ": memory has run out, or the disk is full, or it is a bug; what is above may say which. "
    "Everything that was answered is durable: start it again\n";

/* Only what POSIX allows in a handler: nothing that takes memory or a lock. The action is reset
 * behind the words, not before them, or a second thread that fails at the same moment would end the
 * process while they are being written. Then the signal ends the process when it comes again: a
 * fault when its instruction is repeated, an abort because abort() sees to it. */
static void speak(int number)
{
    for (size_t i = 0; i < N_SIGNALS; i++) {
        if (signals[i].number == number) {
            /* There is nowhere to tell that standard error is gone. */
            ssize_t ignored = write(STDERR_FILENO, signals[i].words, strlen(signals[i].words));
            ignored += write(STDERR_FILENO, advice, sizeof advice - 1);
            (void)ignored;
        }
    }
    (void)signal(number, SIG_DFL);
}

void app_last_words_prepare(void)
{
    struct sigaction action = {.sa_handler = speak};
    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < N_SIGNALS; i++) {
        struct sigaction before;
        if (sigaction(signals[i].number, NULL, &before) == 0 && before.sa_handler == SIG_DFL) {
            (void)sigaction(signals[i].number, &action, NULL);
        }
    }
}
