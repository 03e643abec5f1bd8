#include "fake_spanner.h"

#include "companion.h"
#include "store/spanner/spanner.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Its word is its address. */
static struct companion fake;
static unsigned n_databases;
static const char *tls_certificate; /* NULL: plaintext */
static const char *tls_key;

bool fake_spanner_is_present(void)
{
    const char *const arguments[] = {"/usr/bin/python3",
                                     ZANDAKA_SOURCE "/tests/store/fake_spanner",
                                     ZANDAKA_SOURCE "/proto",
                                     tls_certificate,
                                     tls_key,
                                     NULL};
    return companion_is_present(&fake, "the fake of Spanner", arguments);
}

void fake_spanner_use_tls(const char *certificate, const char *key)
{
    base_assert(!fake.tried);
    tls_certificate = certificate;
    tls_key = key;
}

struct base_text fake_spanner_address(void)
{
    base_assert(fake_spanner_is_present());
    return base_text_of(fake.word);
}

void fake_spanner_command(const char *format, ...)
{
    char command[256];
    char answer[COMPANION_WORD_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    companion_send(&fake, command, answer);
    base_assert(strcmp(answer, "done") == 0);
}

long fake_spanner_count(const char *what)
{
    char command[128];
    char answer[COMPANION_WORD_MAX_BYTES];
    (void)snprintf(command, sizeof command, "count %s", what);
    companion_send(&fake, command, answer);
    return strtol(answer, NULL, 10);
}

static struct store_spanner_options options_of(struct base_text url,
                                               const struct ledger_kinds *kinds)
{
    return (struct store_spanner_options){
        .url = url, .emulator = base_text_of(fake.word), .kinds = kinds};
}

struct base_text fake_spanner_database(struct base_arena *arena)
{
    base_assert(fake_spanner_is_present());
    struct base_text url =
        base_arena_print(arena, "spanner:projects/p/instances/i/databases/test-%u", n_databases++);
    struct store_spanner_options options = options_of(url, NULL);
    struct base_text message;
    if (!store_spanner_apply_schema(&options, arena, &message)) {
        base_stop("%.*s", BASE_TEXT_ARGS(message));
    }
    return url;
}

struct store *fake_spanner_try_store(struct base_text url, const struct ledger_kinds *kinds,
                                     struct base_arena *arena, struct base_text *ret_message)
{
    struct store_spanner_options options = options_of(url, kinds);
    return store_spanner_open(&options, arena, ret_message);
}

struct store *fake_spanner_store(struct base_text url, const struct ledger_kinds *kinds)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text message = BASE_TEXT("");
    struct store *store = fake_spanner_try_store(url, kinds, &arena, &message);
    if (store == NULL) {
        base_stop("%.*s", BASE_TEXT_ARGS(message));
    }
    base_arena_release(&arena);
    return store;
}
