/*
 * The kinds that the store remembers (contract 5). A kind that it has served must be configured for
 * as long as the store lives, so that no slip of an edit turns payments away or hides balances.
 */
#include "store/rocksdb/database.h"

/* The remembered kinds, by stored number. */
struct remembered {
    size_t n;
    struct base_text codes[BASE_KINDS_MAX];
};

static bool add_remembered(struct remembered *remembered, struct base_text code, int stored_number,
                           struct base_arena *arena)
{
    if (code.length < 1 || code.length > BASE_KIND_MAX_BYTES ||
        remembered->codes[stored_number].bytes != NULL) {
        return false;
    }
    remembered->codes[stored_number] = base_arena_text(arena, code);
    remembered->n++;
    return true;
}

/* False: *ret_message. */
static bool read_remembered(struct store_rocksdb *store, struct remembered *remembered,
                            struct base_arena *arena, struct base_text *ret_message)
{
    rocksdb_iterator_t *rows = rocksdb_create_iterator_cf(store->database, store->read_options,
                                                          store->families[STORE_ROCKSDB_KINDS]);
    bool sound = true;
    for (rocksdb_iter_seek_to_first(rows); sound && rocksdb_iter_valid(rows);
         rocksdb_iter_next(rows)) {
        size_t code_length;
        const char *code = rocksdb_iter_key(rows, &code_length);
        size_t value_length;
        const char *value = rocksdb_iter_value(rows, &value_length);
        int stored_number;
        sound =
            store_rocksdb_read_kind((struct base_bytes){(const uint8_t *)value, value_length},
                                    &stored_number) &&
            add_remembered(remembered, (struct base_text){code, code_length}, stored_number, arena);
    }
    char *error = NULL;
    rocksdb_iter_get_error(rows, &error);
    rocksdb_iter_destroy(rows);
    /* Numbers are given in order and never taken back. */
    for (size_t i = 0; i < remembered->n; i++) {
        sound = sound && remembered->codes[i].bytes != NULL;
    }
    if (error != NULL || !sound) {
        *ret_message = base_arena_print(
            arena, "the store in %s cannot be read: its kinds are damaged%s%s; restore a backup",
            store->directory, error != NULL ? ": " : "", error != NULL ? error : "");
        rocksdb_free(error);
        return false;
    }
    return true;
}

static void map_kind(struct store_rocksdb_kind_map *map, size_t kind_number, size_t stored_number)
{
    map->stored_numbers[kind_number] = (int)stored_number;
    map->kind_numbers[stored_number] = (int)kind_number;
}

/* Without a configuration, the remembered kinds are the kinds, in the order of their numbers. */
static void serve_remembered(struct store_rocksdb *store, const struct remembered *remembered)
{
    store->served_kinds.n_kinds = remembered->n;
    for (size_t i = 0; i < remembered->n; i++) {
        store->served_kinds.kinds[i] = (struct ledger_kind){
            .code = base_arena_text(&store->kinds_arena, remembered->codes[i]),
            .max_balance_minor = INT64_MAX,
            .max_amount_minor = BASE_AMOUNT_MAX,
        };
        map_kind(&store->kind_map, i, i);
    }
    store->store.kinds = &store->served_kinds;
    store->kind_map.n_kinds = remembered->n;
    store->kind_map.n_stored = remembered->n;
}

static bool match_remembered(struct store_rocksdb *store, const struct remembered *remembered,
                             const struct ledger_kinds *configured, struct base_arena *arena,
                             struct base_text *ret_message)
{
    for (size_t stored = 0; stored < remembered->n; stored++) {
        int kind_number = ledger_kind_number(configured, remembered->codes[stored]);
        if (kind_number < 0) {
            *ret_message = base_arena_print(
                arena,
                "the store in %s has served the kind `%.*s`, which the configuration lacks: keep "
                "the section [kind.%.*s]; to take the kind out of use, add `withdrawn = yes` to it",
                store->directory, BASE_TEXT_ARGS(remembered->codes[stored]),
                BASE_TEXT_ARGS(remembered->codes[stored]));
            return false;
        }
        map_kind(&store->kind_map, (size_t)kind_number, stored);
    }
    return true;
}

/* Gives a stored number to each configured kind that has none; gives how many there were. */
static size_t add_new(struct store_rocksdb *store, const struct remembered *remembered,
                      const struct ledger_kinds *configured, rocksdb_writebatch_t *batch)
{
    bool known[BASE_KINDS_MAX] = {false};
    for (size_t stored = 0; stored < remembered->n; stored++) {
        known[store->kind_map.kind_numbers[stored]] = true;
    }
    size_t n_stored = remembered->n;
    for (size_t i = 0; i < configured->n_kinds; i++) {
        if (known[i]) {
            continue;
        }
        /* Every remembered kind is configured and there are no more than BASE_KINDS_MAX of those,
         * so there is a number left. */
        base_assert(n_stored < BASE_KINDS_MAX);
        struct base_writer writer = {NULL, 0, 0};
        store_rocksdb_write_kind(&writer, (int)n_stored);
        rocksdb_writebatch_put_cf(batch, store->families[STORE_ROCKSDB_KINDS],
                                  configured->kinds[i].code.bytes, configured->kinds[i].code.length,
                                  (const char *)writer.bytes, writer.length);
        base_writer_release(&writer);
        map_kind(&store->kind_map, i, n_stored++);
    }
    store->kind_map.n_stored = n_stored;
    return n_stored - remembered->n;
}

bool store_rocksdb_kinds_match(struct store_rocksdb *store, const struct ledger_kinds *configured,
                               rocksdb_writebatch_t *batch, size_t *ret_added,
                               struct base_arena *arena, struct base_text *ret_message)
{
    struct remembered remembered = {0};
    if (!read_remembered(store, &remembered, arena, ret_message)) {
        return false;
    }
    if (configured == NULL) {
        serve_remembered(store, &remembered);
        *ret_added = 0;
        return true;
    }
    store->store.kinds = configured;
    store->kind_map.n_kinds = configured->n_kinds;
    if (!match_remembered(store, &remembered, configured, arena, ret_message)) {
        return false;
    }
    *ret_added = add_new(store, &remembered, configured, batch);
    return true;
}
