/*
 * The kinds that the database remembers (contract 5). A kind that any server has served must be
 * configured in each, so that no slip of an edit turns payments away or hides balances.
 */
#include "store/postgres/database.h"

#include <stdio.h>

/* The kinds in the database, by its numbers. */
struct remembered {
    size_t n;
    struct base_text codes[BASE_KINDS_MAX];
};

/* Numbers are given in order and never taken back. */
static bool take_kinds(const PGresult *result, struct base_arena *arena,
                       struct remembered *remembered)
{
    int n_rows = PQntuples(result);
    if (n_rows > BASE_KINDS_MAX) {
        return false;
    }
    remembered->n = (size_t)n_rows;
    for (int i = 0; i < n_rows; i++) {
        struct postgres_row row = {.result = result, .row = i};
        int stored_number = postgres_row_int16(&row, 0);
        struct base_text code = base_text_from(postgres_row_bytes(&row, 1));
        if (row.failed || stored_number != i || code.length < 1 ||
            code.length > BASE_KIND_MAX_BYTES) {
            return false;
        }
        remembered->codes[i] = base_arena_text(arena, code);
    }
    return true;
}

/* Runs `add`, when it is a kind, and then reads all kinds. */
static bool read_kinds(struct postgres_connection *connection, const struct base_text *add,
                       struct base_arena *arena, struct remembered *remembered,
                       char message[POSTGRES_MESSAGE_BYTES])
{
    struct postgres_exchange exchange;
    postgres_exchange_open(&exchange, connection);
    if (add != NULL) {
        struct base_bytes code = base_bytes_of(*add);
        postgres_exchange_add(&exchange, POSTGRES_ADD_KIND, &code);
    }
    postgres_exchange_add(&exchange, POSTGRES_READ_KINDS, NULL);
    bool read = postgres_exchange_end(&exchange) == POSTGRES_DONE;
    if (!read) {
        (void)snprintf(message, POSTGRES_MESSAGE_BYTES, "%s", exchange.message);
    } else if (!take_kinds(exchange.results[exchange.n_results - 1], arena, remembered)) {
        (void)snprintf(message, POSTGRES_MESSAGE_BYTES,
                       "the table zandaka.kinds holds what no version of zandaka writes");
        read = false;
    }
    postgres_exchange_close(&exchange);
    return read;
}

static bool is_remembered(const struct remembered *remembered, struct base_text code)
{
    for (size_t i = 0; i < remembered->n; i++) {
        if (base_text_equal(remembered->codes[i], code)) {
            return true;
        }
    }
    return false;
}

/* Adds the configured kinds that the database does not have. Another server may add kinds at the
 * same moment, so that one is tried again: at most once for each that there can be. */
static bool add_new(struct postgres_connection *connection, const struct ledger_kinds *configured,
                    struct base_arena *arena, struct remembered *remembered,
                    char message[POSTGRES_MESSAGE_BYTES])
{
    for (size_t i = 0; i < configured->n_kinds; i++) {
        const struct base_text *code = &configured->kinds[i].code;
        for (int tries = 0; !is_remembered(remembered, *code); tries++) {
            if (tries == BASE_KINDS_MAX ||
                !read_kinds(connection, code, arena, remembered, message)) {
                return false;
            }
        }
    }
    return true;
}

static bool map_kinds(struct store_postgres *store, const struct remembered *remembered,
                      char message[POSTGRES_MESSAGE_BYTES])
{
    struct postgres_kind_map map;
    for (size_t i = 0; i < BASE_KINDS_MAX; i++) {
        map.stored_numbers[i] = -1;
        map.kind_numbers[i] = -1;
    }
    for (size_t stored = 0; stored < remembered->n; stored++) {
        struct base_text code = remembered->codes[stored];
        int kind_number = ledger_kind_number(store->base.kinds, code);
        if (kind_number < 0) {
            (void)snprintf(message, POSTGRES_MESSAGE_BYTES,
                           "the database has served the kind `%.*s`, which the configuration "
                           "lacks: keep the section [kind.%.*s]; to take the kind out of use, add "
                           "`withdrawn = yes` to it",
                           BASE_TEXT_ARGS(code), BASE_TEXT_ARGS(code));
            return false;
        }
        map.stored_numbers[kind_number] = (int)stored;
        map.kind_numbers[stored] = kind_number;
    }
    store->kind_map = map;
    return true;
}

/* Without a configuration, the remembered kinds are the kinds, in the order of their numbers. */
static void serve_remembered(struct store_postgres *store, const struct remembered *remembered)
{
    store->served_kinds.n_kinds = remembered->n;
    for (size_t i = 0; i < remembered->n; i++) {
        store->served_kinds.kinds[i] = (struct ledger_kind){
            .code = base_arena_text(&store->kinds_arena, remembered->codes[i]),
            .max_balance_minor = INT64_MAX,
            .max_amount_minor = BASE_AMOUNT_MAX,
        };
    }
    store->base.kinds = &store->served_kinds;
}

bool postgres_kinds_match(struct store_postgres *store, struct postgres_connection *connection,
                          enum postgres_state *ret_state, char message[POSTGRES_MESSAGE_BYTES])
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct remembered remembered = {0};
    *ret_state = POSTGRES_REFUSED_ACCESS;
    bool matched = read_kinds(connection, NULL, &arena, &remembered, message);
    if (matched && store->base.kinds == NULL) {
        serve_remembered(store, &remembered);
    }
    if (matched) {
        *ret_state = POSTGRES_KIND_MISSING;
        matched = map_kinds(store, &remembered, message);
    }
    if (matched && store->base.kinds != &store->served_kinds) {
        *ret_state = POSTGRES_REFUSED_ACCESS;
        matched = add_new(connection, store->base.kinds, &arena, &remembered, message) &&
                  map_kinds(store, &remembered, message);
    }
    base_arena_release(&arena);
    return matched;
}
