/*
 * How RocksDB is set up. Its memory is bounded, whatever the data grows to:
 *
 *   256 MiB  block cache: data, and all filters and indexes (partitioned), by cache_bytes
 *   256 MiB  write buffers of all families together, by write_buffers_bytes; while full ones are
 *            being flushed, up to about half as much again
 *    16 MiB  open tables: at most BASE_ROCKSDB_TABLES_OPEN_MAX, some 30 KiB each
 *    32 MiB  two background jobs with their blocks and read-ahead
 *   -------
 *   about 700 MiB with the allocator's own share; the account cache of the writer comes on top
 */
#include "store/rocksdb/database.h"

#include <string.h>

/* The write buffers' bytes over the size of one: small ones are searched faster, since more of one
 * fits the processor's caches, and large ones are merged less often. */
#define WRITE_BUFFER_PARTS 16
/* Write buffers of one family. One fills while others are flushed. */
#define WRITE_BUFFERS_PER_FAMILY 4
/* The part of a write buffer that goes to a Bloom filter of its keys, for ids: nearly every id that
 * is looked up is a new one, and is found absent without a search. */
#define IDS_FILTER_PART 0.1
/* Bits of a Bloom filter for each key: 1 % of the misses read a block for nothing. */
#define BLOOM_BITS_PER_KEY 10
/* Bytes of a data block: a read of one row reads one page of the disk. */
#define BLOCK_BYTES 4096
/* The newest table format that every RocksDB from 6.6 on reads. */
#define TABLE_FORMAT 5
/* Written bytes after which the kernel is asked to start writing a table out, so that no flush ends
 * in one long sync beside the log's. */
#define TABLE_SYNC_BYTES (UINT64_C(1) << 20)
/* InfoLogLevel::FATAL_LEVEL, which c.h does not name. */
#define INFO_LOG_FATAL 4
/* WALRecoveryMode::kPointInTimeRecovery, which c.h does not name. */
#define RECOVER_TO_POINT_IN_TIME 2

const char *const store_rocksdb_family_names[STORE_ROCKSDB_FAMILIES] = {
    [STORE_ROCKSDB_DEFAULT] = "default",   [STORE_ROCKSDB_JOURNAL] = "journal",
    [STORE_ROCKSDB_IDS] = "ids",           [STORE_ROCKSDB_ACCOUNTS] = "accounts",
    [STORE_ROCKSDB_ENTRIES] = "entries",   [STORE_ROCKSDB_KINDS] = "kinds",
    [STORE_ROCKSDB_PROGRESS] = "progress",
};

/* --- an entry's prefix: its account id and the byte that ends it --- */

static size_t prefix_length(const char *key, size_t length)
{
    const char *end = memchr(key, 0, length);
    return end == NULL ? length : (size_t)(end - key) + 1;
}

static void prefix_destroy(void *context)
{
    (void)context;
}

static char *prefix_transform(void *context, const char *key, size_t length, size_t *ret_length)
{
    (void)context;
    *ret_length = prefix_length(key, length);
    return (char *)(uintptr_t)key; /* RocksDB's type for bytes that it only reads. */
}

static unsigned char prefix_in_domain(void *context, const char *key, size_t length)
{
    (void)context;
    return memchr(key, 0, length) != NULL;
}

static unsigned char prefix_in_range(void *context, const char *key, size_t length)
{
    (void)context;
    return length > 0 && prefix_length(key, length) == length && key[length - 1] == 0;
}

static const char *prefix_name(void *context)
{
    (void)context;
    return "zandaka.account"; /* Stands in the table files: another name makes filters useless. */
}

/* --- the options --- */

static rocksdb_options_t *whole_options(uint64_t write_buffers_bytes)
{
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_create_missing_column_families(options, 1);
    rocksdb_options_set_paranoid_checks(options, 1);
    rocksdb_options_set_max_open_files(options, BASE_ROCKSDB_TABLES_OPEN_MAX);
    rocksdb_options_set_max_background_jobs(options, BASE_ROCKSDB_JOBS);
    rocksdb_options_set_db_write_buffer_size(options, write_buffers_bytes);
    rocksdb_options_set_max_total_wal_size(options, BASE_ROCKSDB_LOG_MAX_BYTES);
    rocksdb_options_set_max_manifest_file_size(options, BASE_ROCKSDB_MANIFEST_MAX_BYTES);
    /* Up to the first broken record of the log; whether that is far enough, the mark says. */
    rocksdb_options_set_wal_recovery_mode(options, RECOVER_TO_POINT_IN_TIME);
    /* There is one writer, and with one the locks of concurrent writing only cost. */
    rocksdb_options_set_allow_concurrent_memtable_write(options, 0);
    rocksdb_options_set_bytes_per_sync(options, TABLE_SYNC_BYTES);
    /* RocksDB's own log stays empty: it aborts the process when the disk is full, and what an
     * operator must know comes back as an error. */
    rocksdb_options_set_info_log_level(options, INFO_LOG_FATAL);
    rocksdb_options_set_keep_log_file_num(options, 1);
    rocksdb_options_set_stats_dump_period_sec(options, 0);
    rocksdb_options_set_stats_persist_period_sec(options, 0);
    return options;
}

static void set_universal_compaction(rocksdb_options_t *options)
{
    rocksdb_universal_compaction_options_t *universal =
        rocksdb_universal_compaction_options_create();
    rocksdb_universal_compaction_options_set_size_ratio(universal, 20);
    rocksdb_universal_compaction_options_set_min_merge_width(universal, 4);
    rocksdb_universal_compaction_options_set_max_size_amplification_percent(universal, 400);
    rocksdb_options_set_compaction_style(options, rocksdb_universal_compaction);
    rocksdb_options_set_universal_compaction_options(options, universal);
    rocksdb_universal_compaction_options_destroy(universal);
}

static void set_table(rocksdb_options_t *options, rocksdb_cache_t *block_cache, bool by_prefix)
{
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(table, block_cache);
    rocksdb_block_based_options_set_block_size(table, BLOCK_BYTES);
    rocksdb_block_based_options_set_format_version(table, TABLE_FORMAT);
    /* Outside the cache, filters and indexes would grow with the data. */
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(table, 1);
    rocksdb_block_based_options_set_pin_top_level_index_and_filter(table, 1);
    rocksdb_block_based_options_set_index_type(
        table, rocksdb_block_based_table_index_type_two_level_index_search);
    rocksdb_block_based_options_set_partition_filters(table, 1);
    rocksdb_block_based_options_set_filter_policy(
        table, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS_PER_KEY));
    rocksdb_block_based_options_set_whole_key_filtering(table, !by_prefix);
    if (!by_prefix) {
        rocksdb_block_based_options_set_data_block_index_type(
            table, rocksdb_block_based_table_data_block_index_type_binary_search_and_hash);
    }
    rocksdb_options_set_block_based_table_factory(options, table);
    rocksdb_block_based_options_destroy(table);
}

/*
 * Ids and entries only grow, and anywhere among their keys: they are compacted rarely (universal).
 * Accounts are rewritten, so they are kept in levels. The journal is in levels too, since its keys
 * only ascend: its tables never overlap, and so are moved from level to level without being written
 * again. Records are compressed by nobody: they are small, and each is read alone.
 */
static rocksdb_options_t *family_options(const struct store_rocksdb_setup *setup,
                                         enum store_rocksdb_family family,
                                         uint64_t write_buffers_bytes)
{
    /* A copy, since in RocksDB the options of the whole and of the default family are one. */
    rocksdb_options_t *options = rocksdb_options_create_copy(setup->whole);
    rocksdb_options_set_write_buffer_size(options,
                                          (size_t)(write_buffers_bytes / WRITE_BUFFER_PARTS));
    rocksdb_options_set_max_write_buffer_number(options, WRITE_BUFFERS_PER_FAMILY);
    set_table(options, setup->block_cache, family == STORE_ROCKSDB_ENTRIES);
    if (family == STORE_ROCKSDB_IDS) {
        rocksdb_options_set_memtable_whole_key_filtering(options, 1);
        rocksdb_options_set_memtable_prefix_bloom_size_ratio(options, IDS_FILTER_PART);
    }
    if (family == STORE_ROCKSDB_ENTRIES) {
        rocksdb_options_set_prefix_extractor(
            options, rocksdb_slicetransform_create(NULL, prefix_destroy, prefix_transform,
                                                   prefix_in_domain, prefix_in_range, prefix_name));
    }
    if (family == STORE_ROCKSDB_IDS || family == STORE_ROCKSDB_ENTRIES) {
        set_universal_compaction(options);
    } else {
        rocksdb_options_set_level_compaction_dynamic_level_bytes(options, 1);
    }
    bool compressed = family == STORE_ROCKSDB_ENTRIES || family == STORE_ROCKSDB_ACCOUNTS;
    rocksdb_options_set_compression(options,
                                    compressed ? rocksdb_lz4_compression : rocksdb_no_compression);
    return options;
}

void store_rocksdb_setup_open(struct store_rocksdb_setup *setup, uint64_t cache_bytes,
                              uint64_t write_buffers_bytes)
{
    setup->block_cache = rocksdb_cache_create_lru((size_t)cache_bytes);
    setup->whole = whole_options(write_buffers_bytes);
    for (int family = 0; family < STORE_ROCKSDB_FAMILIES; family++) {
        setup->families[family] =
            family_options(setup, (enum store_rocksdb_family)family, write_buffers_bytes);
    }
}

void store_rocksdb_setup_close(struct store_rocksdb_setup *setup)
{
    if (setup->block_cache == NULL) {
        return;
    }
    for (int family = 0; family < STORE_ROCKSDB_FAMILIES; family++) {
        rocksdb_options_destroy(setup->families[family]);
    }
    rocksdb_options_destroy(setup->whole);
    rocksdb_cache_destroy(setup->block_cache);
}

rocksdb_readoptions_t *store_rocksdb_read_options(const rocksdb_snapshot_t *snapshot)
{
    rocksdb_readoptions_t *options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(options, 1);
    rocksdb_readoptions_set_snapshot(options, snapshot);
    return options;
}
