#include "app/callers.h"

#include "api/api.h"
#include "app/ini_file.h"

#include <string.h>

enum section { SECTION_NONE, SECTION_CALLER };

enum key { KEY_TOKEN, KEY_CERTIFICATE, KEY_METHODS, KEY_KINDS, KEY_IDS, KEY_RATE };

static const struct app_ini_key keys[] = {
    {"token_sha256", SECTION_CALLER, KEY_TOKEN},
    {"certificate_names", SECTION_CALLER, KEY_CERTIFICATE},
    {"methods", SECTION_CALLER, KEY_METHODS},
    {"kinds", SECTION_CALLER, KEY_KINDS},
    {"ids", SECTION_CALLER, KEY_IDS},
    {"rate", SECTION_CALLER, KEY_RATE},
};

/* The file in the reading. */
struct callers_file {
    struct app_ini_file ini; /* the first, so that a file is one of these */
    const struct ledger_kinds *kinds;
    size_t n_callers;
    struct access_caller callers[BASE_CALLERS_MAX];
};

/* What a list is made of: whether an element may stand in it, and what it is kept as; NULL and a
 * failed file: it may not. */
typedef bool take_element(struct callers_file *file, struct base_text element,
                          struct base_text *ret_kept);

static void fail(struct callers_file *file, struct base_text what)
{
    app_ini_fail(&file->ini, what);
}

static struct access_caller *current_caller(struct callers_file *file)
{
    base_assert(file->n_callers > 0);
    return &file->callers[file->n_callers - 1];
}

/* --- sections --- */

static bool stands_twice(const struct callers_file *file, struct base_text name)
{
    for (size_t i = 0; i < file->n_callers; i++) {
        if (base_text_equal(file->callers[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* A caller that nothing is known by could never call. */
static void end_caller(struct callers_file *file)
{
    if (file->n_callers == 0) {
        return;
    }
    const struct access_caller *caller = current_caller(file);
    if (caller->n_tokens == 0 && caller->n_certificate_names == 0) {
        fail(file, base_arena_print(file->ini.arena,
                                    "the section [caller.%.*s] above has neither token_sha256 nor "
                                    "certificate_names, so nothing tells that caller",
                                    BASE_TEXT_ARGS(caller->name)));
    }
}

static void open_section(struct app_ini_file *ini, struct base_text section)
{
    struct callers_file *file = (struct callers_file *)ini;
    struct base_arena *arena = ini->arena;
    struct base_text prefix = BASE_TEXT("caller.");
    end_caller(file);
    if (!base_text_starts_with(section, prefix)) {
        fail(file, base_arena_print(arena, "the section [%.*s] is unknown; there is [caller.NAME]",
                                    BASE_TEXT_ARGS(section)));
        return;
    }
    struct base_text name = {section.bytes + prefix.length, section.length - prefix.length};
    const char *wrong = access_check_name(name);
    if (wrong != NULL) {
        fail(file, base_arena_print(arena, "the caller `%.*s`: %s", BASE_TEXT_ARGS(name), wrong));
    } else if (stands_twice(file, name)) {
        fail(file,
             base_arena_print(arena, "the section [%.*s] stands twice", BASE_TEXT_ARGS(section)));
    } else if (file->n_callers == BASE_CALLERS_MAX) {
        fail(file, base_arena_print(arena, "more than %d callers", BASE_CALLERS_MAX));
    } else {
        file->callers[file->n_callers++] =
            (struct access_caller){.name = base_arena_text(arena, name)};
        ini->section = SECTION_CALLER;
    }
}

/* --- lists --- */

static bool take_certificate_name(struct callers_file *file, struct base_text element,
                                  struct base_text *ret_kept)
{
    struct base_arena *arena = file->ini.arena;
    bool is_uri = memchr(element.bytes, ':', element.length) != NULL;
    if (!base_text_is_printable_ascii(element) || memchr(element.bytes, '*', element.length)) {
        fail(file, base_arena_print(arena,
                                    "`%.*s` is no name of a certificate: it is a whole DNS name, "
                                    "or a URI such as spiffe://example.org/payment",
                                    BASE_TEXT_ARGS(element)));
        return false;
    }
    char *name = (char *)(uintptr_t)base_arena_text(arena, element).bytes;
    for (size_t i = 0; i < element.length && !is_uri; i++) {
        /* DNS names are compared without regard to case (RFC 9525, section 6.3). */
        name[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]);
    }
    *ret_kept = (struct base_text){name, element.length};
    for (size_t i = 0; i < file->n_callers; i++) {
        const struct access_caller *other = &file->callers[i];
        for (size_t at = 0; at < other->n_certificate_names; at++) {
            if (base_text_equal(other->certificate_names[at], *ret_kept)) {
                fail(file,
                     base_arena_print(arena, "the certificate name %.*s is that of %.*s",
                                      BASE_TEXT_ARGS(*ret_kept), BASE_TEXT_ARGS(other->name)));
                return false;
            }
        }
    }
    return true;
}

static bool take_method(struct callers_file *file, struct base_text element,
                        struct base_text *ret_kept)
{
    *ret_kept = base_arena_text(file->ini.arena, element);
    if (!api_has_method(element)) {
        fail(file, base_arena_print(file->ini.arena,
                                    "there is no method %.*s; there are %s, as they are written "
                                    "here",
                                    BASE_TEXT_ARGS(element), api_method_names(file->ini.arena)));
        return false;
    }
    return true;
}

static bool take_kind(struct callers_file *file, struct base_text element,
                      struct base_text *ret_kept)
{
    *ret_kept = base_arena_text(file->ini.arena, element);
    if (ledger_kind_number(file->kinds, element) < 0) {
        fail(file, base_arena_print(file->ini.arena, "the kind %.*s is not configured",
                                    BASE_TEXT_ARGS(element)));
        return false;
    }
    return true;
}

static bool take_prefix(struct callers_file *file, struct base_text element,
                        struct base_text *ret_kept)
{
    *ret_kept = base_arena_text(file->ini.arena, element);
    const char *wrong = api_check_transaction_id(element);
    if (wrong != NULL) {
        fail(file,
             base_arena_print(file->ini.arena, "no transaction id begins with `%.*s`: an id %s",
                              BASE_TEXT_ARGS(element), wrong));
        return false;
    }
    return true;
}

/* Takes the next element of `A, B, C`. False: it is empty, or there are too many. */
static bool next_element(struct callers_file *file, size_t n_taken, struct base_text *rest,
                         struct base_text *ret_element)
{
    const char *comma = memchr(rest->bytes, ',', rest->length);
    size_t length = comma == NULL ? rest->length : (size_t)(comma - rest->bytes);
    *ret_element = base_text_trim((struct base_text){rest->bytes, length}, " \t");
    size_t skipped = comma == NULL ? length : length + 1;
    *rest = (struct base_text){rest->bytes + skipped, rest->length - skipped};
    if (ret_element->length == 0 || (comma != NULL && rest->length == 0)) {
        fail(file, BASE_TEXT("an element of the list is empty"));
        return false;
    }
    if (n_taken == BASE_CALLER_LIST_MAX) {
        fail(file, base_arena_print(file->ini.arena, "more than %d elements in a list",
                                    BASE_CALLER_LIST_MAX));
        return false;
    }
    return true;
}

static void take_list(struct callers_file *file, struct base_text value, take_element *take,
                      size_t *ret_n, const struct base_text **ret_elements)
{
    struct base_text *elements =
        base_arena_take(file->ini.arena, BASE_CALLER_LIST_MAX * sizeof *elements);
    size_t n = 0;
    while (value.length > 0) {
        struct base_text element;
        if (!next_element(file, n, &value, &element) || !take(file, element, &elements[n])) {
            return;
        }
        n++;
    }
    *ret_n = n;
    *ret_elements = elements;
}

static bool take_token(struct callers_file *file, struct base_text element,
                       struct base_text *ret_kept)
{
    struct access_caller *caller = current_caller(file);
    uint8_t digest[BASE_SHA256_BYTES];
    *ret_kept = element;
    if (!base_hex_decode(element, sizeof digest, digest)) {
        fail(file, BASE_TEXT("token_sha256 is the SHA-256 of a token in 64 hexadecimal digits, as "
                             "`zandaka token` prints it"));
        return false;
    }
    if (caller->n_tokens == BASE_CALLER_TOKENS_MAX) {
        fail(file, base_arena_print(file->ini.arena, "a caller has at most %d tokens",
                                    BASE_CALLER_TOKENS_MAX));
        return false;
    }
    for (size_t i = 0; i < file->n_callers; i++) {
        const struct access_caller *other = &file->callers[i];
        for (size_t at = 0; at < other->n_tokens; at++) {
            if (memcmp(other->token_sha256[at], digest, sizeof digest) == 0) {
                fail(file, base_arena_print(file->ini.arena, "this token is that of %.*s",
                                            BASE_TEXT_ARGS(other->name)));
                return false;
            }
        }
    }
    memcpy(caller->token_sha256[caller->n_tokens++], digest, sizeof digest);
    return true;
}

/* --- keys --- */

static void take_rate(struct callers_file *file, struct base_text value)
{
    int64_t rate_per_s;
    if (!base_text_to_int64(value, &rate_per_s) || rate_per_s < 1 ||
        rate_per_s > BASE_CALLER_RATE_MAX) {
        fail(file, base_arena_print(file->ini.arena,
                                    "rate is 1 to %d calls a second in plain digits, not `%.*s`",
                                    BASE_CALLER_RATE_MAX, BASE_TEXT_ARGS(value)));
        return;
    }
    current_caller(file)->rate_per_s = (uint32_t)rate_per_s;
}

static void take_value(struct app_ini_file *ini, int key, struct base_text value)
{
    struct callers_file *file = (struct callers_file *)ini;
    struct access_caller *caller = current_caller(file);
    size_t n_tokens;
    const struct base_text *tokens;
    switch ((enum key)key) {
    case KEY_TOKEN:
        take_list(file, value, take_token, &n_tokens, &tokens);
        return;
    case KEY_CERTIFICATE:
        take_list(file, value, take_certificate_name, &caller->n_certificate_names,
                  &caller->certificate_names);
        return;
    case KEY_METHODS:
        take_list(file, value, take_method, &caller->n_methods, &caller->methods);
        return;
    case KEY_KINDS:
        take_list(file, value, take_kind, &caller->n_kinds, &caller->kinds);
        return;
    case KEY_IDS:
        take_list(file, value, take_prefix, &caller->n_id_prefixes, &caller->id_prefixes);
        return;
    case KEY_RATE:
        take_rate(file, value);
        return;
    }
}

bool app_callers_load(struct base_arena *arena, const char *path, const struct ledger_kinds *kinds,
                      struct app_callers *ret_callers, struct base_text *ret_message)
{
    struct callers_file *file = base_arena_take_zeroed(arena, 1, sizeof *file);
    file->ini = (struct app_ini_file){.path = path,
                                      .arena = arena,
                                      .n_keys = sizeof keys / sizeof keys[0],
                                      .keys = keys,
                                      .open_section = open_section,
                                      .take_value = take_value};
    file->kinds = kinds;
    if (!app_ini_read(&file->ini, ret_message)) {
        return false;
    }
    end_caller(file);
    if (file->n_callers == 0) {
        fail(file, BASE_TEXT("there is no caller: nobody could call; add a section [caller.NAME]"));
    }
    if (file->ini.failed) {
        *ret_message = file->ini.message;
        return false;
    }
    *ret_callers = (struct app_callers){file->n_callers, file->callers};
    return true;
}
