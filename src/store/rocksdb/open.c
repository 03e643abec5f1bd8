/* Opening and closing: the place, a look (look.c), the database, the kinds, the mark. */
#include "store/rocksdb/mark.h"
#include "store/rocksdb/opening.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct store_rocksdb_options store_rocksdb_defaults(const char *directory,
                                                    const struct ledger_kinds *kinds)
{
    return (struct store_rocksdb_options){
        .directory = directory,
        .kinds = kinds,
        .free_space_reserve_bytes = BASE_FREE_SPACE_RESERVE_BYTES,
        .cache_bytes = BASE_ROCKSDB_CACHE_BYTES,
        .write_buffers_bytes = BASE_ROCKSDB_WRITE_BUFFERS_BYTES,
        .account_cache_max = BASE_ACCOUNT_CACHE_MAX,
    };
}

/* --- the place --- */

/* Recovery and the first flushes write too, and RocksDB aborts where the disk is full. */
static bool check_space(const struct store_rocksdb_opening *opening)
{
    const struct store_rocksdb_options *options = opening->options;
    uint64_t needed = options->write_buffers_bytes < options->free_space_reserve_bytes
                          ? options->write_buffers_bytes
                          : options->free_space_reserve_bytes;
    uint64_t free_bytes;
    if (!store_rocksdb_directory_free(opening->store->directory_fd, &free_bytes)) {
        return STORE_ROCKSDB_REFUSE(opening,
                                    "the free space of %s cannot be read: %s: look at the disk",
                                    options->directory, strerror(errno));
    }
    if (free_bytes < needed) {
        return STORE_ROCKSDB_REFUSE(opening,
                                    "the disk of %s has %" PRIu64
                                    " MiB free and opening needs %" PRIu64
                                    " MiB: make room on the disk",
                                    options->directory, free_bytes >> 20, needed >> 20);
    }
    return true;
}

static bool take_place(struct store_rocksdb_opening *opening)
{
    const char *directory = opening->options->directory;
    struct store_rocksdb *store = opening->store;
    store->directory_fd = store_rocksdb_directory_open(directory, store->read_only, opening->arena,
                                                       opening->ret_message);
    if (store->directory_fd < 0) {
        return false;
    }
    enum store_rocksdb_contents contents;
    if (!store_rocksdb_directory_look(store->directory_fd, &contents)) {
        return STORE_ROCKSDB_REFUSE(opening,
                                    "the directory %s cannot be listed: %s: look at the disk",
                                    directory, strerror(errno));
    }
    opening->is_new = contents == STORE_ROCKSDB_BLANK;
    if (store->read_only && contents != STORE_ROCKSDB_STORE) {
        return STORE_ROCKSDB_REFUSE(
            opening, "no store there: %s holds none; name the directory of a store", directory);
    }
    if (contents == STORE_ROCKSDB_FOREIGN) {
        return STORE_ROCKSDB_REFUSE(
            opening,
            "%s holds files but no whole store (its file CURRENT is missing): name an "
            "empty directory to begin a new store, or restore a backup",
            directory);
    }
    if (store->read_only) {
        return true;
    }
    /* Whoever made the directory, nothing says that it did this. */
    if (opening->is_new && !store_rocksdb_directory_sync_name(store->directory_fd)) {
        return STORE_ROCKSDB_REFUSE(opening,
                                    "the directory above %s cannot be synced: %s: look at the disk",
                                    directory, strerror(errno));
    }
    return check_space(opening);
}

/* --- the database --- */

static bool open_database(const struct store_rocksdb_opening *opening)
{
    struct store_rocksdb *store = opening->store;
    const struct store_rocksdb_setup *setup = &store->setup;
    rocksdb_options_set_create_if_missing(setup->whole, opening->is_new);
    rocksdb_options_set_create_missing_column_families(setup->whole, opening->is_new);
    const rocksdb_options_t *options[STORE_ROCKSDB_FAMILIES];
    for (int family = 0; family < STORE_ROCKSDB_FAMILIES; family++) {
        options[family] = setup->families[family];
    }
    char *error = NULL;
    store->database = store->read_only
                          ? rocksdb_open_for_read_only_column_families(
                                setup->whole, store->directory, STORE_ROCKSDB_FAMILIES,
                                store_rocksdb_family_names, options, store->families, 0, &error)
                          : rocksdb_open_column_families(
                                setup->whole, store->directory, STORE_ROCKSDB_FAMILIES,
                                store_rocksdb_family_names, options, store->families, &error);
    return error == NULL || store_rocksdb_refuse_with_words(opening, error);
}

/* The last position in the journal; 0: it is empty. */
static bool read_journal_end(const struct store_rocksdb_opening *opening, uint64_t *ret_position)
{
    struct store_rocksdb *store = opening->store;
    rocksdb_iterator_t *rows = rocksdb_create_iterator_cf(store->database, store->read_options,
                                                          store->families[STORE_ROCKSDB_JOURNAL]);
    uint64_t position = 0;
    bool sound = true;
    rocksdb_iter_seek_to_last(rows);
    if (rocksdb_iter_valid(rows)) {
        struct base_bytes key;
        key.bytes = (const uint8_t *)rocksdb_iter_key(rows, &key.length);
        sound = store_rocksdb_read_position(key, &position);
    }
    char *error = NULL;
    rocksdb_iter_get_error(rows, &error);
    rocksdb_iter_destroy(rows);
    if (error != NULL) {
        return store_rocksdb_refuse_with_words(opening, error);
    }
    if (!sound) {
        return store_rocksdb_refuse_as_damaged(opening, "its journal makes no sense");
    }
    *ret_position = position;
    return true;
}

/* The families were written together, so they must have come equally far. */
static bool recover_state(const struct store_rocksdb_opening *opening)
{
    struct store_rocksdb *store = opening->store;
    struct store_rocksdb_facts_found found;
    uint64_t journal_end = 0;
    if (!store_rocksdb_read_facts(opening, store->database, store->families[STORE_ROCKSDB_DEFAULT],
                                  &found) ||
        !read_journal_end(opening, &journal_end)) {
        return false;
    }
    if (found.state.position != journal_end) {
        return store_rocksdb_refuse_as_damaged(opening,
                                               "its journal does not end where its last batch did");
    }
    store->state = found.state;
    return true;
}

/* Writes what a new store begins with, and the kinds that are new. */
static bool write_beginning(const struct store_rocksdb_opening *opening,
                            rocksdb_writebatch_t *batch)
{
    struct store_rocksdb *store = opening->store;
    if (opening->is_new) {
        store_rocksdb_put_format(store, batch,
                                 opening->options->copying ? STORE_ROCKSDB_FORMAT_COPYING
                                                           : STORE_ROCKSDB_FORMAT);
    }
    char *error = store_rocksdb_write_synced(store, batch, 0);
    return error == NULL || store_rocksdb_refuse_with_words(opening, error);
}

static bool settle_kinds(const struct store_rocksdb_opening *opening)
{
    struct store_rocksdb *store = opening->store;
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    size_t n_added = 0;
    bool settled = store_rocksdb_kinds_match(store, opening->options->kinds, batch, &n_added,
                                             opening->arena, opening->ret_message);
    if (settled && (opening->is_new || n_added > 0)) {
        settled = write_beginning(opening, batch);
    }
    rocksdb_writebatch_destroy(batch);
    return settled;
}

static bool prepare_writing(const struct store_rocksdb_opening *opening)
{
    struct store_rocksdb *store = opening->store;
    store->mark_fd = store_rocksdb_mark_open(store->directory_fd, store->state);
    if (store->mark_fd < 0 ||
        !store_rocksdb_manifest_note(&store->manifest, store->directory_fd, store->mark_fd)) {
        return STORE_ROCKSDB_REFUSE(
            opening, "%s/%s cannot be written: %s: look at the disk and the permissions",
            store->directory, STORE_ROCKSDB_MARK_FILE, strerror(errno));
    }
    store->account_cache = store_rocksdb_account_cache_open(opening->options->account_cache_max);
    return true;
}

static bool open_steps(struct store_rocksdb_opening *opening)
{
    return take_place(opening) && (opening->is_new || store_rocksdb_look(opening)) &&
           open_database(opening) && recover_state(opening) && settle_kinds(opening) &&
           (opening->store->read_only || prepare_writing(opening));
}

/* --- opening and closing --- */

static void store_rocksdb_close(struct store *base)
{
    struct store_rocksdb *store = store_rocksdb_of(base);
    if (store->database != NULL) {
        /* RocksDB aborts when a family's handle outlives the database. */
        for (int family = 0; family < STORE_ROCKSDB_FAMILIES; family++) {
            rocksdb_column_family_handle_destroy(store->families[family]);
        }
        rocksdb_close(store->database);
    }
    if (store->mark_fd >= 0) {
        /* What is known less of the manifest is still right. */
        bool ignored =
            store_rocksdb_manifest_note(&store->manifest, store->directory_fd, store->mark_fd);
        (void)ignored;
    }
    store_rocksdb_manifest_unfollow(&store->manifest);
    rocksdb_readoptions_destroy(store->read_options);
    rocksdb_writeoptions_destroy(store->write_options);
    store_rocksdb_setup_close(&store->setup);
    store_rocksdb_account_cache_close(store->account_cache);
    store_rocksdb_mark_close(store->mark_fd);
    base_arena_release(&store->kinds_arena);
    store_rocksdb_directory_close(store->directory_fd);
    free(store->directory);
    free(store);
}

static const struct store_backend backend = {
    .load = store_rocksdb_load,
    .commit = store_rocksdb_commit,
    .abandon = store_rocksdb_abandon,
    .read_transaction = store_rocksdb_read_transaction,
    .read_caller = store_rocksdb_read_caller,
    .read_accounts = store_rocksdb_read_accounts,
    .read_entries = store_rocksdb_read_entries,
    .read_journal = store_rocksdb_read_journal,
    .cursor_open = store_rocksdb_cursor_open,
    .cursor_next = store_rocksdb_cursor_next,
    .cursor_close = store_rocksdb_cursor_close,
    .ready = store_rocksdb_ready,
    .close = store_rocksdb_close,
    .copy_in = store_rocksdb_copy_in,
    .copy_end = store_rocksdb_copy_end,
};

struct store *store_rocksdb_open(const struct store_rocksdb_options *options,
                                 struct base_arena *arena, struct base_text *ret_message)
{
    struct store_rocksdb *store = base_allocate_zeroed(1, sizeof *store);
    store->store.backend = &backend;
    store->store.n_sessions = 1;
    store->store.journal_is_gapless = true;
    size_t length = strlen(options->directory) + 1;
    store->directory = memcpy(base_allocate(length), options->directory, length);
    store->directory_fd = -1;
    store->mark_fd = -1;
    store->manifest = STORE_ROCKSDB_MANIFEST_NONE;
    store->read_only = options->kinds == NULL;
    store->free_space_reserve_bytes = options->free_space_reserve_bytes;
    store->read_options = store_rocksdb_read_options(NULL);
    store->write_options = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(store->write_options, 1);
    store_rocksdb_setup_open(&store->setup, options->cache_bytes, options->write_buffers_bytes);
    struct store_rocksdb_opening opening = {
        .options = options, .store = store, .arena = arena, .ret_message = ret_message};
    if (!open_steps(&opening)) {
        store_rocksdb_close(&store->store);
        return NULL;
    }
    return &store->store;
}
