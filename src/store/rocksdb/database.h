/*
 * What the files of this folder share.
 *
 *   rows.c           rows as bytes and back
 *   options.c        how RocksDB is set up, and what memory that takes
 *   directory.c      the directory: made, locked, looked at, its free space
 *   mark.c           what is known to have been durable
 *   manifest.c       the same of RocksDB's list of tables
 *   kinds.c          the kinds that the store remembers, against the configured ones
 *   look.c           what is looked at before anything is changed
 *   open.c           opening and closing
 *   account_cache.c  the writer's cache of accounts
 *   write.c          load and commit, and what is copied in
 *   reads.c          reads of transactions and accounts
 *   history.c        pages of an account's history
 *   cursors.c        walks over whole tables
 *
 * What holds at every moment:
 *
 *   1. A batch is one RocksDB write batch, synced before anybody is told of it (contract 3.12).
 *      RocksDB shows a write only after its sync, so every read shows durable facts only.
 *   2. Every write batch carries the state row: how many batches there were, and the last position.
 *      Batches and positions have no gaps.
 *   3. The mark never says more than what is durable.
 *   4. What is read is checked: RocksDB's checksums first, then each row by its own form.
 *   5. The cache holds durable rows only; it changes after a commit has succeeded, never before.
 *   6. Nothing is ever deleted.
 */
#ifndef ZANDAKA_STORE_ROCKSDB_DATABASE_H
#define ZANDAKA_STORE_ROCKSDB_DATABASE_H

#include "store/rocksdb/account_cache.h"
#include "store/rocksdb/manifest.h"
#include "store/rocksdb/rocksdb.h"
#include "store/rocksdb/rows.h"

#include <rocksdb/c.h>

enum store_rocksdb_family {
    STORE_ROCKSDB_DEFAULT,
    STORE_ROCKSDB_JOURNAL,
    STORE_ROCKSDB_IDS,
    STORE_ROCKSDB_ACCOUNTS,
    STORE_ROCKSDB_ENTRIES,
    STORE_ROCKSDB_KINDS,
    STORE_ROCKSDB_PROGRESS,
    STORE_ROCKSDB_FAMILIES
};

extern const char *const store_rocksdb_family_names[STORE_ROCKSDB_FAMILIES];

/* RocksDB's own options: one set for the whole, one for each family. */
struct store_rocksdb_setup {
    rocksdb_cache_t *block_cache;
    rocksdb_options_t *whole;
    rocksdb_options_t *families[STORE_ROCKSDB_FAMILIES];
};

struct store_rocksdb {
    struct store store; /* the first, so that a store is one of these */
    char *directory;
    int directory_fd; /* holds the lock */
    bool read_only;
    uint64_t free_space_reserve_bytes;
    struct store_rocksdb_setup setup;
    rocksdb_t *database;
    rocksdb_column_family_handle_t *families[STORE_ROCKSDB_FAMILIES];
    rocksdb_readoptions_t *read_options; /* checksums are checked; no snapshot */
    rocksdb_writeoptions_t *write_options;
    struct store_rocksdb_kind_map kind_map;
    struct ledger_kinds served_kinds; /* what store.kinds is when the store was opened to read */
    struct base_arena kinds_arena;    /* their codes */

    /* The writer's own. */
    struct store_rocksdb_state state;
    int mark_fd;
    struct store_rocksdb_manifest_follower manifest;
    struct store_rocksdb_account_cache *account_cache;
    const struct ledger_facts *undisturbed; /* loaded, and nothing was committed since; or NULL */
    bool short_of_space;                    /* what was last logged of it */
};

static inline struct store_rocksdb *store_rocksdb_of(struct store *store)
{
    return (struct store_rocksdb *)store;
}

/* --- options.c --- */

/* Released by store_rocksdb_setup_close, after the database is closed. */
void store_rocksdb_setup_open(struct store_rocksdb_setup *setup, uint64_t cache_bytes,
                              uint64_t write_buffers_bytes);
void store_rocksdb_setup_close(struct store_rocksdb_setup *setup);
/* Options of a read: checksums checked. `snapshot` NULL: as of now. The caller destroys them. */
rocksdb_readoptions_t *store_rocksdb_read_options(const rocksdb_snapshot_t *snapshot);

/* --- directory.c --- */

/* What is in the directory. */
enum store_rocksdb_contents {
    STORE_ROCKSDB_BLANK,  /* nothing, or what an interrupted creation left: a store may be made */
    STORE_ROCKSDB_STORE,  /* a RocksDB database, ours or not */
    STORE_ROCKSDB_FOREIGN /* other files, or a database that has lost its beginning */
};

/* Opens and locks the directory for as long as the descriptor is open: shared to read, exclusive to
 * write; to write, it is made when there is none. -1: *ret_message, in the arena. */
int store_rocksdb_directory_open(const char *directory, bool read_only, struct base_arena *arena,
                                 struct base_text *ret_message);
/* Makes the directory's own name durable: a synced store in a directory that a power cut takes away
 * would be no store. False: errno says why. */
bool store_rocksdb_directory_sync_name(int directory_fd) BASE_MUST_USE;
void store_rocksdb_directory_close(int directory_fd);
/* False: it cannot be listed; errno says why. */
bool store_rocksdb_directory_look(int directory_fd,
                                  enum store_rocksdb_contents *ret_contents) BASE_MUST_USE;
/* Bytes that this process may still write to the disk; false: the system does not say. */
bool store_rocksdb_directory_free(int directory_fd, uint64_t *ret_free_bytes) BASE_MUST_USE;

/* --- kinds.c --- */

/* Reads the remembered kinds and fills in kind_map and store.kinds. The kinds that `configured` has
 * and the store does not are given their stored numbers and put into `batch`, and *ret_added says
 * how many. `configured` NULL: the remembered ones are what counts. False: *ret_message. */
bool store_rocksdb_kinds_match(struct store_rocksdb *store, const struct ledger_kinds *configured,
                               rocksdb_writebatch_t *batch, size_t *ret_added,
                               struct base_arena *arena,
                               struct base_text *ret_message) BASE_MUST_USE;

/* --- write.c --- */

/* Adds the state row for the next batch to `batch` and writes it, synced. NULL: it is durable, and
 * store->state says so. Otherwise RocksDB's words (rocksdb_free), and nobody knows what is on disk:
 * nothing may be written any more. */
char *store_rocksdb_write_synced(struct store_rocksdb *store, rocksdb_writebatch_t *batch,
                                 size_t n_transactions) BASE_MUST_USE;

/* Puts the row that says which format the store has. */
void store_rocksdb_put_format(struct store_rocksdb *store, rocksdb_writebatch_t *batch,
                              uint64_t format);

/* There is one session. */
enum store_fault store_rocksdb_load(struct store *store, unsigned session,
                                    struct ledger_facts *facts);
enum store_fault store_rocksdb_commit(struct store *store, unsigned session,
                                      const struct ledger_facts *facts);
void store_rocksdb_abandon(struct store *store, unsigned session, const struct ledger_facts *facts);
enum store_fault store_rocksdb_copy_in(struct store *store, const struct ledger_facts *rows);
enum store_fault store_rocksdb_copy_end(struct store *store);
bool store_rocksdb_ready(struct store *store, const char **ret_reason);

/* --- reads.c --- */

/* Logs and frees RocksDB's words about a read, and says which fault they are. */
enum store_fault store_rocksdb_read_fault(char *error);
/* The same for a row whose form is wrong, in words of ours. */
enum store_fault store_rocksdb_row_fault(const char *what, struct base_text key);
/* One row, copied to the arena; bytes NULL: absent. */
enum store_fault store_rocksdb_get(struct store_rocksdb *store, enum store_rocksdb_family family,
                                   struct base_bytes key, struct base_arena *arena,
                                   struct base_bytes *ret_value) BASE_MUST_USE;
/* `n` rows of one family; keys in order and each once. */
enum store_fault store_rocksdb_get_many(struct store_rocksdb *store,
                                        const rocksdb_readoptions_t *read_options,
                                        enum store_rocksdb_family family, size_t n,
                                        const struct base_bytes *keys, struct base_arena *arena,
                                        struct base_bytes *ret_values) BASE_MUST_USE;
/* The records at `n` positions, in order and each once; one that is missing or malformed is
 * STORE_CORRUPT. */
enum store_fault store_rocksdb_get_records(struct store_rocksdb *store,
                                           const rocksdb_readoptions_t *read_options, size_t n,
                                           const uint64_t *positions, struct base_arena *arena,
                                           struct base_bytes *ret_records) BASE_MUST_USE;
/* Fills in what is in the records of `n` entries: transaction id, original, description. The record
 * of entries[i] is at positions[i]. */
enum store_fault store_rocksdb_complete_entries(struct store_rocksdb *store,
                                                const rocksdb_readoptions_t *read_options, size_t n,
                                                struct ledger_entry *entries,
                                                const uint64_t *positions,
                                                struct base_arena *arena) BASE_MUST_USE;

enum store_fault store_rocksdb_read_transaction(struct store *store,
                                                struct base_text transaction_id,
                                                struct base_arena *arena, bool *ret_found,
                                                struct base_bytes *ret_record);
enum store_fault store_rocksdb_read_caller(struct store *store, struct base_text transaction_id,
                                           struct base_arena *arena, bool *ret_found,
                                           struct base_text *ret_caller);
enum store_fault store_rocksdb_read_accounts(struct store *store, size_t n,
                                             const struct base_text *account_ids,
                                             struct base_arena *arena,
                                             struct ledger_account *ret_accounts);
enum store_fault store_rocksdb_read_journal(struct store *store, uint64_t position,
                                            struct base_arena *arena, bool *ret_found,
                                            struct base_bytes *ret_record);

/* --- history.c --- */

enum store_fault store_rocksdb_read_entries(struct store *store,
                                            const struct store_entries_query *query,
                                            struct base_arena *arena,
                                            struct store_entries_page *ret_page);

/* --- cursors.c --- */

struct store_cursor *store_rocksdb_cursor_open(struct store *store, enum store_table table);
enum store_fault store_rocksdb_cursor_next(struct store_cursor *cursor, bool *ret_found,
                                           struct store_row *ret_row);
void store_rocksdb_cursor_close(struct store_cursor *cursor);

#endif
