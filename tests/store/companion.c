#include "companion.h"

#include "base/base.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define CANNOT_RUN 77
#define NOT_FOUND 126

static struct companion *started;

static int end_companion(struct companion *companion)
{
    int status;
    (void)fclose(companion->commands);
    (void)fclose(companion->answers);
    (void)waitpid(companion->process, &status, 0);
    companion->process = 0;
    return status;
}

static void end_all(void)
{
    for (struct companion *each = started; each != NULL; each = each->next) {
        if (each->process != 0) {
            (void)end_companion(each);
        }
    }
}

static void start(struct companion *companion, const char *const *arguments)
{
    int commands[2];
    int answers[2];
    base_assert(pipe2(commands, O_CLOEXEC) == 0 && pipe2(answers, O_CLOEXEC) == 0);
    pid_t process = fork();
    base_assert(process >= 0);
    if (process == 0) {
        (void)dup2(commands[0], STDIN_FILENO);
        (void)dup2(answers[1], STDOUT_FILENO);
        /* What preloads into the test program is not for this one. */
        (void)unsetenv("LD_PRELOAD");
        (void)execv(arguments[0], (char **)(uintptr_t)arguments);
        _exit(NOT_FOUND);
    }
    (void)close(commands[0]);
    (void)close(answers[1]);
    companion->commands = fdopen(commands[1], "w");
    companion->answers = fdopen(answers[0], "r");
    companion->process = process;
    (void)signal(SIGPIPE, SIG_IGN);
    if (started == NULL) {
        (void)atexit(end_all);
    }
    companion->next = started;
    started = companion;
}

bool companion_is_present(struct companion *companion, const char *what,
                          const char *const *arguments)
{
    if (!companion->tried) {
        companion->tried = true;
        start(companion, arguments);
        if (fscanf(companion->answers, "ready %127s", companion->word) != 1) {
            int status = end_companion(companion);
            if (!WIFEXITED(status) || WEXITSTATUS(status) != CANNOT_RUN) {
                base_stop("%s did not start", what);
            }
        }
    }
    return companion->process != 0;
}

void companion_send(struct companion *companion, const char *command,
                    char answer[COMPANION_WORD_MAX_BYTES])
{
    (void)fprintf(companion->commands, "%s\n", command);
    (void)fflush(companion->commands);
    if (fscanf(companion->answers, " %127s", answer) != 1) {
        base_stop("the program beside this one did not obey `%s`", command);
    }
}
