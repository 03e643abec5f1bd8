#include "fake_spanner.h"

#include "store/spanner/spanner.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct fake {
    bool tried;
    pid_t process; /* 0: there is none */
    FILE *commands;
    FILE *answers;
    char address[64];
    unsigned n_databases;
    const char *certificate; /* NULL: plaintext */
    const char *key;
} fake;

/* It ends once its input does, also when this program is killed. */
static void end_fake(void)
{
    if (fake.process != 0) {
        (void)fclose(fake.commands);
        (void)fclose(fake.answers);
        (void)waitpid(fake.process, NULL, 0);
        fake.process = 0;
    }
}

static void start_fake(void)
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
        /* What preloads into C would preload into Python. */
        (void)unsetenv("LD_PRELOAD");
        (void)execl("/usr/bin/python3", "/usr/bin/python3",
                    ZANDAKA_SOURCE "/tests/store/fake_spanner", ZANDAKA_SOURCE "/proto",
                    fake.certificate, fake.key, (char *)NULL);
        _exit(77);
    }
    (void)close(commands[0]);
    (void)close(answers[1]);
    fake.commands = fdopen(commands[1], "w");
    fake.answers = fdopen(answers[0], "r");
    fake.process = process;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)atexit(end_fake);
}

bool fake_spanner_is_present(void)
{
    if (!fake.tried) {
        fake.tried = true;
        start_fake();
        if (fscanf(fake.answers, "ready %63s", fake.address) != 1) {
            int status;
            (void)waitpid(fake.process, &status, 0);
            fake.process = 0;
            if (!WIFEXITED(status) || WEXITSTATUS(status) != 77) {
                base_stop("the fake of Spanner did not start");
            }
        }
    }
    return fake.process != 0;
}

void fake_spanner_use_tls(const char *certificate, const char *key)
{
    base_assert(!fake.tried);
    fake.certificate = certificate;
    fake.key = key;
}

struct base_text fake_spanner_address(void)
{
    base_assert(fake_spanner_is_present());
    return base_text_of(fake.address);
}

static void send_command(const char *command, char answer[32])
{
    (void)fprintf(fake.commands, "%s\n", command);
    (void)fflush(fake.commands);
    if (fscanf(fake.answers, " %31s", answer) != 1) {
        base_stop("the fake of Spanner did not obey `%s`", command);
    }
}

void fake_spanner_command(const char *format, ...)
{
    char command[256];
    char answer[32];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    send_command(command, answer);
    base_assert(strcmp(answer, "done") == 0);
}

long fake_spanner_count(const char *what)
{
    char command[128];
    char answer[32];
    (void)snprintf(command, sizeof command, "count %s", what);
    send_command(command, answer);
    return strtol(answer, NULL, 10);
}

static struct store_spanner_options options_of(struct base_text url,
                                               const struct ledger_kinds *kinds)
{
    return (struct store_spanner_options){
        .url = url, .emulator = base_text_of(fake.address), .kinds = kinds};
}

struct base_text fake_spanner_database(struct base_arena *arena)
{
    base_assert(fake_spanner_is_present());
    struct base_text url = base_arena_print(
        arena, "spanner:projects/p/instances/i/databases/test-%u", fake.n_databases++);
    struct store_spanner_options options = options_of(url, NULL);
    struct base_text message;
    if (!store_spanner_apply_schema(&options, arena, &message)) {
        base_stop("%.*s", BASE_TEXT_ARGS(message));
    }
    return url;
}

struct store *fake_spanner_store(struct base_text url, const struct ledger_kinds *kinds)
{
    struct store_spanner_options options = options_of(url, kinds);
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text message = BASE_TEXT("");
    struct store *store = store_spanner_open(&options, &arena, &message);
    if (store == NULL) {
        base_stop("%.*s", BASE_TEXT_ARGS(message));
    }
    base_arena_release(&arena);
    return store;
}
