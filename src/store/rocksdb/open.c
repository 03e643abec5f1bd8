/*
 * Opening and closing.
 *
 * Before anything may be changed, the store is looked at: opened only to read, RocksDB shows what
 * recovery would give, and a store of another format, or one whose log ends before what is known to
 * have been durable, is refused while the evidence is still there. It costs a second reading of the
 * log, which options.c bounds.
 */
#include "store/rocksdb/database.h"
#include "store/rocksdb/mark.h"

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

/* What opening works with. */
struct opening {
    const struct store_rocksdb_options *options;
    struct store_rocksdb *store;
    struct base_arena *arena;
    struct base_text *ret_message;
    bool is_new; /* nothing was ever written to it, or there is none */
};

/* Every message ends with what to do. */
#define REFUSE(opening, ...)                                                                       \
    (*(opening)->ret_message = base_arena_print((opening)->arena, __VA_ARGS__), false)

/* Refuses with RocksDB's words, and frees them. */
static bool refuse_with_words(const struct opening *opening, char *error)
{
    const char *advice = "look at the disk and the files, or restore a backup";
    if (strstr(error, "Permission denied") != NULL) {
        advice = "run as the user that owns the directory, or give it to the user that runs this";
    } else if (strstr(error, "No space left") != NULL) {
        advice = "make room on the disk";
    } else if (strncmp(error, "Corruption", strlen("Corruption")) == 0) {
        advice = "the files are damaged; restore a backup";
    }
    (void)REFUSE(opening, "the store in %s cannot be opened: %s: %s", opening->options->directory,
                 error, advice);
    rocksdb_free(error);
    return false;
}

static bool refuse_as_damaged(const struct opening *opening, const char *what)
{
    return REFUSE(opening, "the store in %s is damaged: %s; restore a backup",
                  opening->options->directory, what);
}

/* --- the place --- */

/* Recovery and the first flushes write too, and RocksDB aborts where the disk is full. */
static bool check_space(const struct opening *opening)
{
    const struct store_rocksdb_options *options = opening->options;
    uint64_t needed = options->write_buffers_bytes < options->free_space_reserve_bytes
                          ? options->write_buffers_bytes
                          : options->free_space_reserve_bytes;
    uint64_t free_bytes;
    if (!store_rocksdb_directory_free(opening->store->directory_fd, &free_bytes)) {
        return REFUSE(opening, "the free space of %s cannot be read: %s: look at the disk",
                      options->directory, strerror(errno));
    }
    if (free_bytes < needed) {
        return REFUSE(opening,
                      "the disk of %s has %" PRIu64 " MiB free and opening needs %" PRIu64
                      " MiB: make room on the disk",
                      options->directory, free_bytes >> 20, needed >> 20);
    }
    return true;
}

static bool take_place(struct opening *opening)
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
        return REFUSE(opening, "the directory %s cannot be listed: %s: look at the disk", directory,
                      strerror(errno));
    }
    opening->is_new = contents == STORE_ROCKSDB_BLANK;
    if (store->read_only && contents != STORE_ROCKSDB_STORE) {
        return REFUSE(opening, "no store there: %s holds none; name the directory of a store",
                      directory);
    }
    if (contents == STORE_ROCKSDB_FOREIGN) {
        return REFUSE(opening,
                      "%s holds files but no whole store (its file CURRENT is missing): name an "
                      "empty directory to begin a new store, or restore a backup",
                      directory);
    }
    if (store->read_only) {
        return true;
    }
    /* Whoever made the directory, nothing says that it did this. */
    if (opening->is_new && !store_rocksdb_directory_sync_name(store->directory_fd)) {
        return REFUSE(opening, "the directory above %s cannot be synced: %s: look at the disk",
                      directory, strerror(errno));
    }
    return check_space(opening);
}

/* --- the look before anything is changed --- */

/* What the default family says. */
struct facts_found {
    bool has_rows; /* any at all, ours or not */
    bool has_format;
    uint64_t format;
    bool has_state;
    struct store_rocksdb_state state;
};

/* Reads them through a database and its default family; false: *ret_message. */
static bool read_facts(const struct opening *opening, rocksdb_t *database,
                       rocksdb_column_family_handle_t *family, struct facts_found *found)
{
    *found = (struct facts_found){0};
    for (int row = 0; row < 2; row++) {
        struct base_text key = row == 0 ? STORE_ROCKSDB_FORMAT_KEY : STORE_ROCKSDB_STATE_KEY;
        char *error = NULL;
        struct base_bytes value;
        char *bytes = rocksdb_get_cf(database, opening->store->read_options, family, key.bytes,
                                     key.length, &value.length, &error);
        if (error != NULL) {
            return refuse_with_words(opening, error);
        }
        if (bytes == NULL) {
            continue;
        }
        value.bytes = (const uint8_t *)bytes;
        bool sound = row == 0 ? store_rocksdb_read_format(value, &found->format)
                              : store_rocksdb_read_state(value, &found->state);
        rocksdb_free(bytes);
        if (!sound) {
            return refuse_as_damaged(opening, "what it says of itself makes no sense");
        }
        found->has_format = found->has_format || row == 0;
        found->has_state = found->has_state || row == 1;
    }
    return true;
}

/* Whether the default family holds anything; false: *ret_message. */
static bool look_for_rows(const struct opening *opening, rocksdb_t *database,
                          rocksdb_column_family_handle_t *family, bool *ret_has_rows)
{
    rocksdb_iterator_t *rows =
        rocksdb_create_iterator_cf(database, opening->store->read_options, family);
    rocksdb_iter_seek_to_first(rows);
    *ret_has_rows = rocksdb_iter_valid(rows);
    char *error = NULL;
    rocksdb_iter_get_error(rows, &error);
    rocksdb_iter_destroy(rows);
    return error == NULL || refuse_with_words(opening, error);
}

/* Whether the families are ours; `ret_all`: and all of them are there. */
static bool list_families(const struct opening *opening, bool *ret_ours, bool *ret_all)
{
    char *error = NULL;
    size_t n = 0;
    char **names = rocksdb_list_column_families(opening->store->setup.whole,
                                                opening->options->directory, &n, &error);
    if (error != NULL) {
        return refuse_with_words(opening, error);
    }
    size_t n_ours = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t family = 0; family < STORE_ROCKSDB_FAMILIES; family++) {
            n_ours += strcmp(names[i], store_rocksdb_family_names[family]) == 0;
        }
    }
    *ret_ours = n_ours == n;
    *ret_all = n_ours == STORE_ROCKSDB_FAMILIES;
    rocksdb_list_column_families_destroy(names, n);
    return true;
}

/* Opens the default family only, only to read, and closes it again. */
static bool look_inside(const struct opening *opening, struct facts_found *found)
{
    struct store_rocksdb_setup *setup = &opening->store->setup;
    const char *name = store_rocksdb_family_names[STORE_ROCKSDB_DEFAULT];
    const rocksdb_options_t *options = setup->families[STORE_ROCKSDB_DEFAULT];
    rocksdb_column_family_handle_t *family = NULL;
    char *error = NULL;
    rocksdb_t *database = rocksdb_open_for_read_only_column_families(
        setup->whole, opening->options->directory, 1, &name, &options, &family, 0, &error);
    if (error != NULL) {
        return refuse_with_words(opening, error);
    }
    bool read = read_facts(opening, database, family, found) &&
                look_for_rows(opening, database, family, &found->has_rows);
    rocksdb_column_family_handle_destroy(family);
    rocksdb_close(database);
    return read;
}

/* Whether recovery gives all that is known to have been durable (contract 3.12). */
static bool check_mark(const struct opening *opening, struct store_rocksdb_state recovered)
{
    const char *directory = opening->options->directory;
    struct store_rocksdb_state durable = {0};
    switch (store_rocksdb_mark_read(opening->store->directory_fd, &durable)) {
    case STORE_ROCKSDB_MARK_UNREADABLE:
        return REFUSE(opening, "%s/%s cannot be read: %s: look at the disk and the permissions",
                      directory, STORE_ROCKSDB_MARK_FILE, strerror(errno));
    case STORE_ROCKSDB_MARK_BROKEN:
        base_log(BASE_LOG_WARNING,
                 "%s/%s is damaged, so it is not known how far the store in %s had come: if its "
                 "end is lost, that cannot be seen",
                 directory, STORE_ROCKSDB_MARK_FILE, directory);
        return true;
    case STORE_ROCKSDB_MARK_ABSENT:
        if (recovered.batch > 0) {
            base_log(
                BASE_LOG_WARNING,
                "%s/%s is missing, so it is not known how far the store in %s had come: if its "
                "end is lost, that cannot be seen",
                directory, STORE_ROCKSDB_MARK_FILE, directory);
        }
        return true;
    case STORE_ROCKSDB_MARK_VALID:
        break;
    }
    if (recovered.batch >= durable.batch) {
        return true;
    }
    return REFUSE(opening,
                  "the store in %s ends at batch %" PRIu64 ", and batch %" PRIu64
                  " is known to have been durable: its log is damaged or files are missing, and "
                  "%" PRIu64 " transactions that were answered would be lost. Nothing was changed. "
                  "Restore the files or a backup; if an older copy was put there on purpose, "
                  "remove %s/%s and start again",
                  directory, recovered.batch, durable.batch, durable.position - recovered.position,
                  directory, STORE_ROCKSDB_MARK_FILE);
}

/* Whether the list of tables is what it was. */
static bool check_manifest(const struct opening *opening)
{
    switch (store_rocksdb_manifest_check(opening->store->directory_fd)) {
    case STORE_ROCKSDB_MANIFEST_UNREADABLE:
        return REFUSE(opening, "the manifest in %s cannot be read: %s: look at the disk",
                      opening->options->directory, strerror(errno));
    case STORE_ROCKSDB_MANIFEST_DAMAGED:
        return refuse_as_damaged(opening, "its manifest (CURRENT, MANIFEST-*) is not the one that "
                                          "is known to have been durable");
    case STORE_ROCKSDB_MANIFEST_SOUND:
        break;
    }
    return true;
}

static bool look(struct opening *opening)
{
    const char *directory = opening->options->directory;
    struct facts_found found;
    bool ours = false;
    bool all = false;
    if (!check_manifest(opening) || !list_families(opening, &ours, &all) ||
        !look_inside(opening, &found)) {
        return false;
    }
    if (found.has_format && found.format != STORE_ROCKSDB_FORMAT) {
        return REFUSE(opening,
                      "the store in %s has format %" PRIu64 ", and this version knows format %d "
                      "only: use the version of zandaka that wrote it",
                      directory, found.format, STORE_ROCKSDB_FORMAT);
    }
    /* A database with no families but the default is what an interrupted creation leaves, and what
     * most programs have: the one is empty. */
    if (!found.has_format && (!ours || (found.has_rows && !found.has_state))) {
        return REFUSE(opening,
                      "%s holds a database of another program: name a directory of its own for "
                      "the store",
                      directory);
    }
    if (!check_mark(opening, found.state)) {
        return false;
    }
    if (found.has_format != found.has_state || (found.has_format && (!all || !ours))) {
        return refuse_as_damaged(opening, "a part of it is missing");
    }
    /* A creation that stopped before its first batch; a reader has nothing to read there. */
    opening->is_new = !found.has_format;
    if (opening->is_new && opening->store->read_only) {
        return REFUSE(opening,
                      "no store there: the one in %s was never finished; start a server "
                      "on it once",
                      directory);
    }
    return true;
}

/* --- the database --- */

static bool open_database(const struct opening *opening)
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
    return error == NULL || refuse_with_words(opening, error);
}

/* The last position in the journal; 0: it is empty. */
static bool read_journal_end(const struct opening *opening, uint64_t *ret_position)
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
        return refuse_with_words(opening, error);
    }
    if (!sound) {
        return refuse_as_damaged(opening, "its journal makes no sense");
    }
    *ret_position = position;
    return true;
}

/* The families were written together, so they must have come equally far. */
static bool recover_state(const struct opening *opening)
{
    struct store_rocksdb *store = opening->store;
    struct facts_found found;
    uint64_t journal_end = 0;
    if (!read_facts(opening, store->database, store->families[STORE_ROCKSDB_DEFAULT], &found) ||
        !read_journal_end(opening, &journal_end)) {
        return false;
    }
    if (found.state.position != journal_end) {
        return refuse_as_damaged(opening, "its journal does not end where its last batch did");
    }
    store->state = found.state;
    return true;
}

/* Writes what a new store begins with, and the kinds that are new. */
static bool write_beginning(const struct opening *opening, rocksdb_writebatch_t *batch)
{
    struct store_rocksdb *store = opening->store;
    if (opening->is_new) {
        struct base_writer format = {NULL, 0, 0};
        store_rocksdb_write_format(&format);
        rocksdb_writebatch_put_cf(batch, store->families[STORE_ROCKSDB_DEFAULT],
                                  STORE_ROCKSDB_FORMAT_KEY.bytes, STORE_ROCKSDB_FORMAT_KEY.length,
                                  (const char *)format.bytes, format.length);
        base_writer_release(&format);
    }
    char *error = store_rocksdb_write_synced(store, batch, 0);
    return error == NULL || refuse_with_words(opening, error);
}

static bool settle_kinds(const struct opening *opening)
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

static bool prepare_writing(const struct opening *opening)
{
    struct store_rocksdb *store = opening->store;
    store->mark_fd = store_rocksdb_mark_open(store->directory_fd, store->state);
    if (store->mark_fd < 0 ||
        !store_rocksdb_manifest_note(&store->manifest, store->directory_fd, store->mark_fd)) {
        return REFUSE(opening, "%s/%s cannot be written: %s: look at the disk and the permissions",
                      store->directory, STORE_ROCKSDB_MARK_FILE, strerror(errno));
    }
    store->account_cache = store_rocksdb_account_cache_open(opening->options->account_cache_max);
    return true;
}

static bool open_steps(struct opening *opening)
{
    return take_place(opening) && (opening->is_new || look(opening)) && open_database(opening) &&
           recover_state(opening) && settle_kinds(opening) &&
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
    .read_accounts = store_rocksdb_read_accounts,
    .read_entries = store_rocksdb_read_entries,
    .read_journal = store_rocksdb_read_journal,
    .cursor_open = store_rocksdb_cursor_open,
    .cursor_next = store_rocksdb_cursor_next,
    .cursor_close = store_rocksdb_cursor_close,
    .ready = store_rocksdb_ready,
    .close = store_rocksdb_close,
};

struct store *store_rocksdb_open(const struct store_rocksdb_options *options,
                                 struct base_arena *arena, struct base_text *ret_message)
{
    struct store_rocksdb *store = base_allocate_zeroed(1, sizeof *store);
    store->store.backend = &backend;
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
    struct opening opening = {
        .options = options, .store = store, .arena = arena, .ret_message = ret_message};
    if (!open_steps(&opening)) {
        store_rocksdb_close(&store->store);
        return NULL;
    }
    return &store->store;
}
