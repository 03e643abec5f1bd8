/*
 * The callers' file. It is refused with a message that names it, or it gives callers that each have
 * a name of their own and a way to be known, and nothing but kinds that there are; and a table of
 * them knows each by what it has.
 */
#include "app/callers.h"
#include "fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct ledger_kinds kinds = {
    .n_kinds = 2, .kinds = {{.code = {"points", 6}}, {.code = {"money", 5}}}};

static void check_caller(const struct app_callers *callers, size_t number)
{
    const struct access_caller *caller = &callers->callers[number];
    base_assert(access_check_name(caller->name) == NULL);
    base_assert(caller->n_tokens + caller->n_certificate_names > 0);
    base_assert(caller->n_tokens <= BASE_CALLER_TOKENS_MAX);
    for (size_t i = 0; i < number; i++) {
        base_assert(!base_text_equal(callers->callers[i].name, caller->name));
    }
    for (size_t i = 0; i < caller->n_kinds; i++) {
        base_assert(ledger_kind_number(&kinds, caller->kinds[i]) >= 0);
    }
    for (size_t i = 0; i < caller->n_id_prefixes; i++) {
        base_assert(base_text_is_printable_ascii(caller->id_prefixes[i]));
        base_assert(caller->id_prefixes[i].length <= BASE_ID_MAX_BYTES);
    }
}

/* By a certificate that has one of its names, and to do what it may. */
static void check_recognized(struct access *access, const struct access_caller *caller)
{
    for (size_t i = 0; i < caller->n_certificate_names; i++) {
        const struct access_credentials credentials = {
            .n_certificate_names = 1, .certificate_names = &caller->certificate_names[i]};
        struct access_known *known = access_recognize(access, &credentials);
        base_assert(known != NULL && base_text_equal(access_name(known), caller->name));
        for (size_t method = 0; method < caller->n_methods; method++) {
            base_assert(access_allows_method(known, caller->methods[method]));
        }
        for (size_t prefix = 0; prefix < caller->n_id_prefixes; prefix++) {
            base_assert(access_allows_id(known, caller->id_prefixes[prefix]));
        }
        access_release(known);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct app_callers callers;
    struct base_text message = {NULL, 0};
    int fd = memfd_create("zandaka-callers", MFD_CLOEXEC);
    base_assert(fd >= 0 && write(fd, bytes, length) == (ssize_t)length);
    struct base_text path = base_arena_print(&arena, "/proc/self/fd/%d", fd);
    if (app_callers_load(&arena, path.bytes, &kinds, &callers, &message)) {
        base_assert(callers.n_callers >= 1 && callers.n_callers <= BASE_CALLERS_MAX);
        struct access *access = access_open(callers.n_callers, callers.callers);
        for (size_t i = 0; i < callers.n_callers; i++) {
            check_caller(&callers, i);
            check_recognized(access, &callers.callers[i]);
        }
        access_close(access);
    } else {
        base_assert(base_text_starts_with(message, path));
        base_assert(strlen(message.bytes) == message.length);
    }
    (void)close(fd);
    base_arena_release(&arena);
    return 0;
}
