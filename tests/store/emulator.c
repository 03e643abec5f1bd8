#include "emulator.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct emulator {
    bool tried;
    pid_t process; /* 0: there is none */
    FILE *commands;
    FILE *answers;
    char address[64];
    unsigned n_databases;
    struct base_arena arena;
} emulator;

/* The script ends the emulator once its input ends, also when this program is killed. */
static void end_emulator(void)
{
    if (emulator.process != 0) {
        (void)fclose(emulator.commands);
        (void)fclose(emulator.answers);
        (void)waitpid(emulator.process, NULL, 0);
        emulator.process = 0;
    }
    base_arena_release(&emulator.arena);
}

static void start_emulator(void)
{
    int commands[2];
    int answers[2];
    base_assert(pipe(commands) == 0 && pipe(answers) == 0);
    pid_t process = fork();
    base_assert(process >= 0);
    if (process == 0) {
        (void)dup2(commands[0], STDIN_FILENO);
        (void)dup2(answers[1], STDOUT_FILENO);
        for (int i = 0; i < 2; i++) {
            (void)close(commands[i]);
            (void)close(answers[i]);
        }
        (void)execl(ZANDAKA_SOURCE "/scripts/spanner_emulator.sh", "spanner_emulator.sh",
                    (char *)NULL);
        _exit(126);
    }
    (void)close(commands[0]);
    (void)close(answers[1]);
    emulator.commands = fdopen(commands[1], "w");
    emulator.answers = fdopen(answers[0], "r");
    emulator.process = process;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)atexit(end_emulator);
}

bool emulator_is_present(void)
{
    if (!emulator.tried) {
        emulator.tried = true;
        start_emulator();
        if (fscanf(emulator.answers, "ready %63s", emulator.address) != 1) {
            int status;
            (void)waitpid(emulator.process, &status, 0);
            emulator.process = 0;
            if (!WIFEXITED(status) || WEXITSTATUS(status) != 77) {
                base_stop("the Spanner emulator did not start");
            }
        }
    }
    return emulator.process != 0;
}

struct store_spanner_options emulator_database(bool with_schema)
{
    base_assert(emulator_is_present());
    struct store_spanner_options options = {
        .url = base_arena_print(&emulator.arena,
                                "spanner:projects/test-project/instances/test/databases/test-%u",
                                emulator.n_databases++),
        .emulator = base_text_of(emulator.address),
    };
    struct base_text message;
    if (with_schema && !store_spanner_apply_schema(&options, &emulator.arena, &message)) {
        base_stop("%.*s", BASE_TEXT_ARGS(message));
    }
    return options;
}
