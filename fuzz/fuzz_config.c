/*
 * Configuration files. A file is refused with a message that can be shown, or it gives kinds that a
 * ledger can have, an address of this machine and a store; and written down again it is read as
 * the same configuration.
 */
#include "api/api.h"
#include "app/app.h"
#include "fuzz.h"
#include "net/net.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Names are not asked of the network, which would be slow and not the same every time. The linker
 * puts this in getaddrinfo's place. */
int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret_found);
int __real_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret_found);
int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret_found)
{
    struct addrinfo numeric = *hints;
    numeric.ai_flags |= AI_NUMERICHOST;
    return __real_getaddrinfo(name, service, &numeric, ret_found);
}

static bool load(struct base_arena *arena, struct base_bytes bytes, struct app_config *ret_config,
                 struct base_text *ret_message)
{
    int fd = memfd_create("zandaka-config", MFD_CLOEXEC);
    base_assert(fd >= 0 && write(fd, bytes.bytes, bytes.length) == (ssize_t)bytes.length);
    struct base_text path = base_arena_print(arena, "/proc/self/fd/%d", fd);
    struct app_config_flags flags = {.config_file = path.bytes};
    bool sound = app_config_load(arena, &flags, ret_config, ret_message);
    (void)close(fd);
    return sound;
}

static void check_kinds(const struct ledger_kinds *kinds)
{
    base_assert(kinds->n_kinds >= 1 && kinds->n_kinds <= BASE_KINDS_MAX);
    for (size_t i = 0; i < kinds->n_kinds; i++) {
        const struct ledger_kind *kind = &kinds->kinds[i];
        base_assert(api_check_kind_code(kind->code) == NULL);
        base_assert(ledger_kind_number(kinds, kind->code) == (int)i);
        base_assert(kind->max_balance_minor >= 1 && kind->max_amount_minor >= 1);
        base_assert(kind->max_amount_minor <= BASE_AMOUNT_MAX);
    }
}

static struct base_text write_down(struct base_arena *arena, const struct app_config *config)
{
    struct base_text text = base_arena_print(arena, "[server]\nlisten=%s\n[store]\nurl=%s\n",
                                             config->listen.bytes, config->store_url.bytes);
    for (size_t i = 0; i < config->kinds.n_kinds; i++) {
        const struct ledger_kind *kind = &config->kinds.kinds[i];
        text = base_arena_print(
            arena, "%s[kind.%.*s]\nmax_balance = %lld\nmax_amount = %lld\nwithdrawn = %s\n",
            text.bytes, BASE_TEXT_ARGS(kind->code), (long long)kind->max_balance_minor,
            (long long)kind->max_amount_minor, kind->withdrawn ? "yes" : "no");
    }
    return text;
}

static void check_same(const struct app_config *a, const struct app_config *b)
{
    base_assert(base_text_equal(a->listen, b->listen));
    base_assert(base_text_equal(a->store_url, b->store_url));
    base_assert(a->kinds.n_kinds == b->kinds.n_kinds);
    for (size_t i = 0; i < a->kinds.n_kinds; i++) {
        const struct ledger_kind *one = &a->kinds.kinds[i];
        const struct ledger_kind *other = &b->kinds.kinds[i];
        base_assert(base_text_equal(one->code, other->code));
        base_assert(one->max_balance_minor == other->max_balance_minor);
        base_assert(one->max_amount_minor == other->max_amount_minor);
        base_assert(one->withdrawn == other->withdrawn);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct app_config config;
    struct app_config again;
    struct base_text message = {NULL, 0};
    if (load(&arena, (struct base_bytes){bytes, length}, &config, &message)) {
        check_kinds(&config.kinds);
        base_assert(net_is_loopback(config.listen));
        struct base_text text = write_down(&arena, &config);
        base_assert(load(&arena, base_bytes_of(text), &again, &message));
        check_same(&config, &again);
    } else {
        base_assert(message.length > 0 && strlen(message.bytes) == message.length);
    }
    base_arena_release(&arena);
    return 0;
}
