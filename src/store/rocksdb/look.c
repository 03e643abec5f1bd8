/*
 * The look before anything is changed: opened only to read, RocksDB shows what recovery would give,
 * and a store of another format, or one whose log ends before what is known to have been durable,
 * is refused while the evidence is still there. It costs a second reading of the log, which
 * BASE_ROCKSDB_LOG_MAX_BYTES bounds.
 */
#include "store/rocksdb/mark.h"
#include "store/rocksdb/opening.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* --- refusals --- */

bool store_rocksdb_refuse_with_words(const struct store_rocksdb_opening *opening, char *error)
{
    const char *advice = "look at the disk and the files, or restore a backup";
    if (strstr(error, "Permission denied") != NULL) {
        advice = "run as the user that owns the directory, or give it to the user that runs this";
    } else if (strstr(error, "No space left") != NULL) {
        advice = "make room on the disk";
    } else if (strncmp(error, "Corruption", strlen("Corruption")) == 0) {
        advice = "the files are damaged; restore a backup";
    }
    (void)STORE_ROCKSDB_REFUSE(opening, "the store in %s cannot be opened: %s: %s",
                               opening->options->directory, error, advice);
    rocksdb_free(error);
    return false;
}

bool store_rocksdb_refuse_as_damaged(const struct store_rocksdb_opening *opening, const char *what)
{
    return STORE_ROCKSDB_REFUSE(opening, "the store in %s is damaged: %s; restore a backup",
                                opening->options->directory, what);
}

/* --- what is there --- */

bool store_rocksdb_read_facts(const struct store_rocksdb_opening *opening, rocksdb_t *database,
                              rocksdb_column_family_handle_t *family,
                              struct store_rocksdb_facts_found *found)
{
    *found = (struct store_rocksdb_facts_found){0};
    for (int row = 0; row < 2; row++) {
        struct base_text key = row == 0 ? STORE_ROCKSDB_FORMAT_KEY : STORE_ROCKSDB_STATE_KEY;
        char *error = NULL;
        struct base_bytes value;
        char *bytes = rocksdb_get_cf(database, opening->store->read_options, family, key.bytes,
                                     key.length, &value.length, &error);
        if (error != NULL) {
            return store_rocksdb_refuse_with_words(opening, error);
        }
        if (bytes == NULL) {
            continue;
        }
        value.bytes = (const uint8_t *)bytes;
        bool sound = row == 0 ? store_rocksdb_read_format(value, &found->format)
                              : store_rocksdb_read_state(value, &found->state);
        rocksdb_free(bytes);
        if (!sound) {
            return store_rocksdb_refuse_as_damaged(opening,
                                                   "what it says of itself makes no sense");
        }
        found->has_format = found->has_format || row == 0;
        found->has_state = found->has_state || row == 1;
    }
    return true;
}

/* Whether the default family holds anything; false: *ret_message. */
static bool look_for_rows(const struct store_rocksdb_opening *opening, rocksdb_t *database,
                          rocksdb_column_family_handle_t *family, bool *ret_has_rows)
{
    rocksdb_iterator_t *rows =
        rocksdb_create_iterator_cf(database, opening->store->read_options, family);
    rocksdb_iter_seek_to_first(rows);
    *ret_has_rows = rocksdb_iter_valid(rows);
    char *error = NULL;
    rocksdb_iter_get_error(rows, &error);
    rocksdb_iter_destroy(rows);
    return error == NULL || store_rocksdb_refuse_with_words(opening, error);
}

/* Whether the families are ours; `ret_all`: and all of them are there. */
static bool list_families(const struct store_rocksdb_opening *opening, bool *ret_ours,
                          bool *ret_all)
{
    char *error = NULL;
    size_t n = 0;
    char **names = rocksdb_list_column_families(opening->store->setup.whole,
                                                opening->options->directory, &n, &error);
    if (error != NULL) {
        return store_rocksdb_refuse_with_words(opening, error);
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
static bool look_inside(const struct store_rocksdb_opening *opening,
                        struct store_rocksdb_facts_found *found)
{
    struct store_rocksdb_setup *setup = &opening->store->setup;
    const char *name = store_rocksdb_family_names[STORE_ROCKSDB_DEFAULT];
    const rocksdb_options_t *options = setup->families[STORE_ROCKSDB_DEFAULT];
    rocksdb_column_family_handle_t *family = NULL;
    char *error = NULL;
    rocksdb_t *database = rocksdb_open_for_read_only_column_families(
        setup->whole, opening->options->directory, 1, &name, &options, &family, 0, &error);
    if (error != NULL) {
        return store_rocksdb_refuse_with_words(opening, error);
    }
    bool read = store_rocksdb_read_facts(opening, database, family, found) &&
                look_for_rows(opening, database, family, &found->has_rows);
    rocksdb_column_family_handle_destroy(family);
    rocksdb_close(database);
    return read;
}

/* Whether recovery gives all that is known to have been durable (contract 3.12). */
static bool check_mark(const struct store_rocksdb_opening *opening,
                       struct store_rocksdb_state recovered)
{
    const char *directory = opening->options->directory;
    struct store_rocksdb_state durable = {0};
    switch (store_rocksdb_mark_read(opening->store->directory_fd, &durable)) {
    case STORE_ROCKSDB_MARK_UNREADABLE:
        return STORE_ROCKSDB_REFUSE(
            opening, "%s/%s cannot be read: %s: look at the disk and the permissions", directory,
            STORE_ROCKSDB_MARK_FILE, strerror(errno));
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
    return STORE_ROCKSDB_REFUSE(
        opening,
        "the store in %s ends at batch %" PRIu64 ", and batch %" PRIu64
        " is known to have been durable: its log is damaged or files are missing, and "
        "%" PRIu64 " transactions that were answered would be lost. Nothing was changed. "
        "Restore the files or a backup; if an older copy was put there on purpose, "
        "remove %s/%s and start again",
        directory, recovered.batch, durable.batch, durable.position - recovered.position, directory,
        STORE_ROCKSDB_MARK_FILE);
}

/* Whether the list of tables is what it was. */
static bool check_manifest(const struct store_rocksdb_opening *opening)
{
    switch (store_rocksdb_manifest_check(opening->store->directory_fd)) {
    case STORE_ROCKSDB_MANIFEST_UNREADABLE:
        return STORE_ROCKSDB_REFUSE(opening,
                                    "the manifest in %s cannot be read: %s: look at the disk",
                                    opening->options->directory, strerror(errno));
    case STORE_ROCKSDB_MANIFEST_DAMAGED:
        return STORE_ROCKSDB_REFUSE(
            opening,
            "the store in %s is damaged: its manifest (CURRENT, MANIFEST-*) is not the one that is "
            "known to have been durable. Nothing was changed. Restore the files or a backup; if an "
            "older copy was put there on purpose, remove %s/%s and start again",
            opening->options->directory, opening->options->directory, STORE_ROCKSDB_MARK_FILE);
    case STORE_ROCKSDB_MANIFEST_SOUND:
        break;
    }
    return true;
}

bool store_rocksdb_look(struct store_rocksdb_opening *opening)
{
    const char *directory = opening->options->directory;
    struct store_rocksdb_facts_found found;
    bool ours = false;
    bool all = false;
    if (!check_manifest(opening) || !list_families(opening, &ours, &all) ||
        !look_inside(opening, &found)) {
        return false;
    }
    bool is_copy = found.has_format && found.format == STORE_ROCKSDB_FORMAT_COPYING;
    if (is_copy && !opening->options->copying) {
        return STORE_ROCKSDB_REFUSE(
            opening,
            "the store in %s is a copy that has not come to its end: run the same `zandaka copy` "
            "again, which goes on where it was, or remove the directory",
            directory);
    }
    if (found.has_format && !is_copy && opening->options->copying) {
        return STORE_ROCKSDB_REFUSE(opening,
                                    "%s holds a store already, and no copy that was interrupted: "
                                    "name a directory that is empty or does not exist",
                                    directory);
    }
    if (found.has_format && !is_copy && found.format != STORE_ROCKSDB_FORMAT) {
        return STORE_ROCKSDB_REFUSE(opening,
                                    "the store in %s has format %" PRIu64
                                    ", and this version knows format %d "
                                    "only: use the version of zandaka that wrote it",
                                    directory, found.format, STORE_ROCKSDB_FORMAT);
    }
    /* A database with no families but the default is what an interrupted creation leaves, and what
     * most programs have: the one is empty. */
    if (!found.has_format && (!ours || (found.has_rows && !found.has_state))) {
        return STORE_ROCKSDB_REFUSE(
            opening,
            "%s holds a database of another program: name a directory of its own for "
            "the store",
            directory);
    }
    if (!check_mark(opening, found.state)) {
        return false;
    }
    if (found.has_format != found.has_state || (found.has_format && (!all || !ours))) {
        return store_rocksdb_refuse_as_damaged(opening, "a part of it is missing");
    }
    /* A creation that stopped before its first batch; a reader has nothing to read there. */
    opening->is_new = !found.has_format;
    if (opening->is_new && opening->store->read_only) {
        return STORE_ROCKSDB_REFUSE(
            opening,
            "no store there: the one in %s was never finished; start a server "
            "on it once",
            directory);
    }
    return true;
}
