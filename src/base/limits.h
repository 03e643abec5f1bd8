/*
 * Every limit of the program, with its unit and its reason. Limits that depend on one another are
 * tied by the assertions at the end. Limits that callers can meet are listed in docs/api.md and
 * have a test at the limit and one past it.
 */
#ifndef ZANDAKA_BASE_LIMITS_H
#define ZANDAKA_BASE_LIMITS_H

#include <assert.h>
#include <stdint.h>

/* --- what a caller may send (docs/contract.md 3 and 5, docs/api.md) --- */

/* Bytes of a transaction id or an account id, 1 to this: room for a UUID behind a prefix. */
#define BASE_ID_MAX_BYTES 64
/* Ids that begin so are kept for transactions that follow from others (docs/contract.md 3.1). */
#define BASE_RESERVED_ID_PREFIX "zandaka:"
/* Bytes of a kind's code, 1 to this. */
#define BASE_KIND_MAX_BYTES 32
/* Configured kinds, and kinds that a store has ever served. */
#define BASE_KINDS_MAX 64
/* Kinds in one transaction. */
#define BASE_AMOUNTS_MAX 16
/* Legs of a recorded transaction: each amount, on both sides of a transfer. */
#define BASE_LEGS_MAX (2 * BASE_AMOUNTS_MAX)
/* Minor units of one amount, 1 to this: 10^15 leaves room for 9,000 of them in an int64. */
#define BASE_AMOUNT_MAX INT64_C(1000000000000000)
/* Bytes of a description. */
#define BASE_DESCRIPTION_MAX_BYTES 256
/* Labels of a transaction; bytes of a key, of a value, and of all keys and values together. */
#define BASE_METADATA_MAX 16
#define BASE_METADATA_KEY_MAX_BYTES 64
#define BASE_METADATA_VALUE_MAX_BYTES 256
#define BASE_METADATA_TOTAL_MAX_BYTES 1024
/* Commands of one Submit: as many as a batch takes, so that a Submit is one durable commit. */
#define BASE_SUBMIT_MAX 1024
/* Accounts of one BatchGetBalances. */
#define BASE_BATCH_GET_MAX 1000
/* Entries on a page: when the caller names no size, and at the most. */
#define BASE_PAGE_DEFAULT 50
#define BASE_PAGE_MAX 1000
/* Filters of one ListEntries. */
#define BASE_FILTER_OPERATIONS_MAX 16
/* Entries that one page may look at: a filter that few entries meet makes short pages, not slow
 * ones. */
#define BASE_PAGE_SCAN_MAX 10000
/* Bytes of a page token: a position, a checksum of the filters, and base64. */
#define BASE_PAGE_TOKEN_MAX_BYTES 128
/* Bytes of one request's message: what gRPC clients and servers take by default. */
#define BASE_REQUEST_MAX_BYTES (4u << 20)
/* Field violations told for one request; a caller that has more mends these first. */
#define BASE_VIOLATIONS_MAX 32
/* Elements (messages, strings, numbers) in one request's body: what the largest Submit has (for
 * each command 3 messages, 5 fields, 16 amounts of 3 and 16 labels of 3) and no more, since a
 * body of 4 MiB of empty elements would take a hundred times its size once unpacked. */
#define BASE_ELEMENTS_MAX (BASE_SUBMIT_MAX * 160)
/* Nesting of a JSON body: the deepest request has 6 levels. */
#define BASE_JSON_DEPTH_MAX 16

/* --- how much is done at once --- */

/* Commands of one batch. */
#define BASE_BATCH_MAX 1024
/* Commands that may wait for a batch; beyond it the caller is told OVERLOADED at once. At 40,000
 * commands a second it is 0.4 s of work: longer waits help nobody. */
#define BASE_QUEUE_MAX 16384
/* Reads that may wait. */
#define BASE_READ_QUEUE_MAX 16384
/* Accounts in the writer's cache: rows as they are stored, about 150 bytes each with a few kinds.
 */
#define BASE_ACCOUNT_CACHE_MAX 1000000

/* --- connections --- */

/* Connections of a server. */
#define BASE_CONNECTIONS_MAX 20000
/* Calls under way on one connection (HTTP/2's MAX_CONCURRENT_STREAMS). */
#define BASE_STREAMS_MAX 1000
/* Bytes in flight over all connections: bodies coming in, answers going out. When they are spent,
 * only connections that hold little are read from, and in each loop one other (net/loop.c). */
#define BASE_INFLIGHT_MAX_BYTES (256u << 20)
/* Bytes of a request's header list, as HTTP/2 counts them, and of an HTTP/1.1 head. */
#define BASE_HEADERS_MAX_BYTES 16384
/* HTTP/2 flow-control windows: of a stream, and of a connection. */
#define BASE_STREAM_WINDOW_BYTES (1u << 20)
#define BASE_CONNECTION_WINDOW_BYTES (8u << 20)
/* Bytes read from a socket at once, and gathered before one write. */
#define BASE_READ_BUFFER_BYTES 65536
#define BASE_WRITE_BUFFER_BYTES 65536
/* A request that was begun must be complete within this. */
#define BASE_REQUEST_TIMEOUT_MS 30000
/* A connection without calls is closed after this. */
#define BASE_IDLE_TIMEOUT_MS 7200000
/* How long a stopping server waits for the calls under way. */
#define BASE_DRAIN_TIMEOUT_MS 20000

/* --- the embedded store --- */

/* Memory of RocksDB's block cache (data, filters and indexes) and of all write buffers. */
#define BASE_ROCKSDB_CACHE_BYTES (UINT64_C(256) << 20)
#define BASE_ROCKSDB_WRITE_BUFFERS_BYTES (UINT64_C(256) << 20)
/* Free space below which writes are refused: the write buffers once flushed, a compaction as large
 * again, and the log. RocksDB aborts inside a write when the disk is full. */
#define BASE_FREE_SPACE_RESERVE_BYTES (UINT64_C(1) << 30)

static_assert(BASE_SUBMIT_MAX <= BASE_BATCH_MAX, "a Submit must fit one batch");
static_assert(BASE_BATCH_MAX <= BASE_QUEUE_MAX, "a full batch must be able to wait");
static_assert(BASE_AMOUNT_MAX <= INT64_MAX / BASE_LEGS_MAX,
              "a transaction's sum must not overflow");
static_assert(BASE_AMOUNTS_MAX <= BASE_KINDS_MAX, "a transaction names no kind twice");
static_assert(BASE_REQUEST_MAX_BYTES <= BASE_INFLIGHT_MAX_BYTES / 16,
              "large requests must not wait for one another");
static_assert(BASE_FREE_SPACE_RESERVE_BYTES >= 2 * BASE_ROCKSDB_WRITE_BUFFERS_BYTES,
              "what is in memory must fit the disk");

#endif
