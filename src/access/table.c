#include "access/table.h"

#include <stdlib.h>

static const struct base_text *copy_texts(struct base_arena *arena, size_t n,
                                          const struct base_text *texts)
{
    struct base_text *copies = base_arena_take(arena, n * sizeof *copies);
    for (size_t i = 0; i < n; i++) {
        copies[i] = base_arena_text(arena, texts[i]);
    }
    return copies;
}

static struct access_caller copy_caller(struct base_arena *arena,
                                        const struct access_caller *caller)
{
    struct access_caller copy = *caller;
    copy.name = base_arena_text(arena, caller->name);
    copy.certificate_names =
        copy_texts(arena, caller->n_certificate_names, caller->certificate_names);
    copy.methods = copy_texts(arena, caller->n_methods, caller->methods);
    copy.kinds = copy_texts(arena, caller->n_kinds, caller->kinds);
    copy.id_prefixes = copy_texts(arena, caller->n_id_prefixes, caller->id_prefixes);
    return copy;
}

struct access_table *access_table_open(struct access *access, size_t n_callers,
                                       const struct access_caller *callers)
{
    base_assert(n_callers <= BASE_CALLERS_MAX);
    struct access_table *table = base_allocate_zeroed(1, sizeof *table);
    table->access = access;
    table->n_users = 1;
    table->n_callers = n_callers;
    table->callers = base_arena_take_zeroed(&table->arena, n_callers, sizeof *table->callers);
    for (size_t i = 0; i < n_callers; i++) {
        base_assert(access_check_name(callers[i].name) == NULL);
        base_assert(callers[i].n_tokens <= BASE_CALLER_TOKENS_MAX);
        table->callers[i].caller = copy_caller(&table->arena, &callers[i]);
        table->callers[i].table = table;
        atomic_init(&table->callers[i].used_up_mono_ns, INT64_MIN);
    }
    return table;
}

void access_table_close(struct access_table *table)
{
    base_arena_release(&table->arena);
    free(table);
}

/* The token of `Bearer TOKEN` (RFC 6750, section 2.1); empty: it is none. */
static struct base_text token_of(struct base_text authorization)
{
    struct base_text scheme = {authorization.bytes, sizeof "Bearer " - 1};
    if (authorization.length <= scheme.length ||
        !base_text_equal_ignoring_case(scheme, BASE_TEXT("Bearer "))) {
        return (struct base_text){NULL, 0};
    }
    return (struct base_text){authorization.bytes + scheme.length,
                              authorization.length - scheme.length};
}

/* Every hash is compared, each whole, and nothing depends on where the right one stands. */
static struct access_known *find_token(struct access_table *table, struct base_text token)
{
    uint8_t digest[BASE_SHA256_BYTES];
    base_sha256(base_bytes_of(token), digest);
    size_t found = 0; /* 1 and the caller's index */
    for (size_t i = 0; i < table->n_callers; i++) {
        const struct access_caller *caller = &table->callers[i].caller;
        for (size_t at = 0; at < caller->n_tokens; at++) {
            size_t equal = base_equal_secret(digest, caller->token_sha256[at], sizeof digest);
            found |= (0 - equal) & (i + 1);
        }
    }
    return found == 0 ? NULL : &table->callers[found - 1];
}

static bool has_name(const struct access_caller *caller, struct base_text name)
{
    for (size_t i = 0; i < caller->n_certificate_names; i++) {
        if (base_text_equal(caller->certificate_names[i], name)) {
            return true;
        }
    }
    return false;
}

/* A certificate that names two callers says nothing of which of them calls. */
static struct access_known *find_certificate(struct access_table *table, size_t n_names,
                                             const struct base_text *names)
{
    struct access_known *found = NULL;
    for (size_t i = 0; i < table->n_callers; i++) {
        for (size_t at = 0; at < n_names; at++) {
            if (!has_name(&table->callers[i].caller, names[at])) {
                continue;
            }
            if (found != NULL && found != &table->callers[i]) {
                return NULL;
            }
            found = &table->callers[i];
        }
    }
    return found;
}

struct access_known *access_table_find(struct access_table *table,
                                       const struct access_credentials *credentials)
{
    if (!credentials->has_authorization) {
        return find_certificate(table, credentials->n_certificate_names,
                                credentials->certificate_names);
    }
    struct base_text token = token_of(credentials->authorization);
    return token.length == 0 ? NULL : find_token(table, token);
}
