/*
 * Every limit of the program that a caller, a user or an operator can meet, with its unit and its
 * reason. Limits that depend on one another are tied by the assertions at the end. Those that
 * callers can meet are listed in docs/api.md and have a test at the limit and one past it. Sizes
 * that are one file's own affair (how large a text of a number is) stand in that file.
 */
#ifndef ZANDAKA_BASE_LIMITS_H
#define ZANDAKA_BASE_LIMITS_H

#include <assert.h>
#include <stddef.h>
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
/* Bytes of all violations of one request. They travel in a trailer, as base64 and beside a message,
 * and several gRPC clients take no more than 8 KiB of those. */
#define BASE_VIOLATIONS_MAX_BYTES 4096
/* The same for one command of a Submit: BASE_SUBMIT_MAX of them, with the other details of their
 * errors, must stay below the 4 MiB that a client takes as one message. */
#define BASE_VIOLATIONS_OF_COMMAND_MAX_BYTES 1024
/* Bytes of one violation's field and of its description. A field may hold a caller's text. */
#define BASE_VIOLATION_FIELD_MAX_BYTES 256
#define BASE_VIOLATION_DESCRIPTION_MAX_BYTES 256
/* Elements (messages, strings, numbers) in one request's body: what the largest Submit has (for
 * each command 3 messages, 5 fields, 16 amounts of 3 and 16 labels of 3) and no more, since a
 * body of 4 MiB of empty elements would take a hundred times its size once unpacked. */
#define BASE_ELEMENTS_MAX (BASE_SUBMIT_MAX * 160)
/* Nesting of a JSON body: the deepest request has 6 levels. */
#define BASE_JSON_DEPTH_MAX 16
/* A JSON number may be this, 2^53; beyond it many libraries round, so it must be a string. */
#define BASE_JSON_NUMBER_MAX (INT64_C(1) << 53)
/* Nesting of messages in a protobuf body: the deepest request has 5 levels, and what nests in
 * itself (descriptors, in reflection) must not use up the stack. */
#define BASE_MESSAGE_DEPTH_MAX 16
/* What a caller is asked to wait before it sends the same again: a full queue is 0.4 s of work (see
 * BASE_QUEUE_MAX), so an earlier attempt would find it as full; and a store or another server that
 * takes over needs no less. */
#define BASE_RETRY_DELAY_MS 500

/* --- what the server answers, and what a client takes --- */

/* Bytes of a record: more than the largest that the limits allow (32 legs of 140, labels of 1,500,
 * four ids, the rest), so that garbage is not unpacked at many times its size. */
#define BASE_RECORD_MAX_BYTES 8192
/* Bytes of an answer's message: what gRPC clients take by default. */
#define BASE_ANSWER_MAX_BYTES (4u << 20)
/* Elements of an answer: the largest has, for each of a BatchGetBalances' accounts, two and four
 * for each kind. */
#define BASE_ANSWER_ELEMENTS_MAX (BASE_BATCH_GET_MAX * (2 + 4 * BASE_KINDS_MAX))

/* --- callers --- */

/* Bytes of a caller's name: it stands in log lines about the caller, and beside its records. */
#define BASE_CALLER_MAX_BYTES 64
/* Callers of a server: teams and their programs, not people. All their tokens are looked at in
 * every call, in the same time whichever it is: 512 hashes of 32 bytes, some microseconds. */
#define BASE_CALLERS_MAX 256
/* Tokens of one: the one in use, and the one that it is being replaced by. */
#define BASE_CALLER_TOKENS_MAX 2
/* Bytes of a token that a client sends: ours have 51, and another's fits a header with all else. */
#define BASE_TOKEN_MAX_BYTES 1024
/* Elements of one list of a caller: names of its certificates, methods, kinds, prefixes. A line of
 * the file has no room for more. */
#define BASE_CALLER_LIST_MAX 64
/* Calls a second that a caller may be limited to: above it the limit is none. */
#define BASE_CALLER_RATE_MAX 1000000
/* How often a line is logged about calls that were refused for who made them: whoever floods the
 * server with them is to be seen, and is not to fill the log. */
#define BASE_REFUSALS_LOGGED_EVERY_MS 1000

/* --- how much is done at once --- */

/* Commands of one batch. */
#define BASE_BATCH_MAX 1024
/* Commands that may wait for a batch; beyond it the caller is told OVERLOADED at once. At 40,000
 * commands a second it is 0.4 s of work: longer waits help nobody. */
#define BASE_QUEUE_MAX 16384
/* Reads that may wait. */
#define BASE_READ_QUEUE_MAX 16384
/* Threads that read: they wait for the disk at the most, so a few keep every core busy. */
#define BASE_READERS 2
/* Event loops: one for each core, up to this. */
#define BASE_LOOPS_MAX 64
/* Sessions of a store, each with a thread that writes through it: by then a database has more
 * commits under way than it syncs at once. */
#define BASE_STORE_SESSIONS_MAX 64
/* Accounts in the writer's cache: rows as they are stored, about 150 bytes each with a few kinds.
 */
#define BASE_ACCOUNT_CACHE_MAX 1000000

/* --- when the store is slow, in conflict or away --- */

/* The wait before the first retry of a batch; it doubles with each one, up to the last. Half of it
 * is jitter, so that servers that met in one conflict do not meet again. */
#define BASE_RETRY_WAIT_FIRST_MS 1
#define BASE_RETRY_WAIT_LAST_MS 64
/* How long one batch is retried when the store answers with conflicts or unknown outcomes. Callers
 * with a deadline leave at it; this is for those without, and for everybody behind them. */
#define BASE_RETRY_TIMEOUT_MS 10000
/* Retries of one batch, whatever the clock says; in real time the limit above comes first. */
#define BASE_RETRIES_MAX 1000
/* How long a batch waits for a store that is unavailable: long enough for a failover's hiccup,
 * short enough that the calls behind it can still be told. */
#define BASE_UNAVAILABLE_TIMEOUT_MS 1000

/* --- connections --- */

/* Connections of a server, at the most, and without which it is of no use. */
#define BASE_CONNECTIONS_MAX 20000
#define BASE_CONNECTIONS_MIN 16
/* Room for fewer connections is worth a warning at the start: a few hosts of callers with pools. */
#define BASE_CONNECTIONS_FEW 1000
/* Open files that are no connection: the tables that the store keeps open, and 256 for its logs,
 * the tables that are being made, the loops' own, and what the system's libraries open. */
#define BASE_OTHER_FILES (BASE_ROCKSDB_TABLES_OPEN_MAX + 256)
/* Connections that the system keeps until they are accepted; it may keep fewer (somaxconn). */
#define BASE_BACKLOG_MAX 4096
/* Calls under way on one connection (HTTP/2's MAX_CONCURRENT_STREAMS). */
#define BASE_STREAMS_MAX 1000
/* Bytes in flight over all connections: bodies coming in, answers going out. When they are spent,
 * only connections that hold little are read from, and in each loop one other (net/loop.c). */
#define BASE_INFLIGHT_MAX_BYTES (256u << 20)
/* While they are spent, two may still be read from, or whoever holds much would stop everybody
 * else, and those that are half received would wait for one another until their time is up: who
 * holds no more than this, until twice the budget is spent; */
#define BASE_SMALL_HELD_BYTES 16384
/* and in each loop one that holds more, until it is through: up to this, the largest request with
 * the room that it grows by. */
#define BASE_FAVOURED_HELD_MAX_BYTES (4 * BASE_REQUEST_MAX_BYTES)
/* How long the favoured one may send nothing before another has its turn. Each turn may add a
 * request, so beyond one and a half times the budget the turn lasts: the rest is for the small. */
#define BASE_FAVOURED_SILENCE_MS 100
/* How long twice the budget may stay spent, while nobody is read from at all: then whoever holds
 * most is cut off, one after another. Requests that are being answered have ended by then. */
#define BASE_OVERDRAWN_MAX_MS 100
/* How often a loop looks whether it may read again. */
#define BASE_PAUSED_WAIT_MS 5
/* Streamed calls of one connection (a health watch, a reflection): each may keep as much waiting as
 * a stream's window, so there are fewer than calls. */
#define BASE_STREAMED_CALLS_MAX 100
/* Bytes of a message of these calls: a name, and the question around it. */
#define BASE_STREAM_REQUEST_MAX_BYTES 4096
/* Bytes that wait on a stream to be sent, beyond which nothing more is written to it. */
#define BASE_STREAM_UNSENT_MAX_BYTES 65536
/* Bytes of a request's header list, as HTTP/2 counts them, and of an HTTP/1.1 head. */
#define BASE_HEADERS_MAX_BYTES 16384
/* HTTP/2 flow-control windows: of a stream, and of a connection. */
#define BASE_STREAM_WINDOW_BYTES (1u << 20)
#define BASE_CONNECTION_WINDOW_BYTES (8u << 20)
/* Bytes read from a socket at once by a client, and by OpenSSL; and gathered before one write. */
#define BASE_READ_BUFFER_BYTES 65536
#define BASE_WRITE_BUFFER_BYTES 65536
/* A loop's round is to be short: who asks for little is heard once in each. Bytes that are read
 * from a connection, and from which on no more are written to it, before others have their turn:
 * some 20 small requests, and a full buffer; */
#define BASE_READ_TURN_BYTES 4096
#define BASE_WRITE_TURN_BYTES BASE_WRITE_BUFFER_BYTES
/* turns to read in a round of those that are busy, and bytes from which on no more of them write;
 */
#define BASE_READ_TURNS_MAX 4
#define BASE_WRITE_ROUND_BYTES 65536
/* calls under way on one connection beyond which it is busy; */
#define BASE_QUIET_REQUESTS_MAX 8
/* messages of other threads in a round, answers most of them, and after how many those that are
 * busy are written to although more wait: as many as a batch has. */
#define BASE_LETTERS_ROUND_MAX 128
#define BASE_LETTERS_LATE_MAX BASE_BATCH_MAX
/* Bytes of a body that are read before it is known who sends it: what comes in one turn with its
 * head, so that nobody is asked for twice for a small request. */
#define BASE_BODY_UNASKED_BYTES 4096
/* Bytes that a body is given on the word of its announced length alone. */
#define BASE_BODY_FIRST_BYTES 65536
/* Bytes that may wait behind HTTP/1.1's request under way: one more request of the largest size. A
 * peer that sends more ahead is answered what it has asked so far, then the connection closes. */
#define BASE_AHEAD_MAX_BYTES (BASE_HEADERS_MAX_BYTES + BASE_REQUEST_MAX_BYTES)
/* Bytes of a body that is too large which are read and dropped before the answer: most clients look
 * at the answer only when they have sent everything. */
#define BASE_DISCARD_MAX_BYTES (4 * BASE_REQUEST_MAX_BYTES)
/* Bytes of a line with a chunk's size and its extensions, which nobody here understands. */
#define BASE_CHUNK_LINE_MAX_BYTES 256
/* HTTP/2 streams that a peer may reset: at once, and for each second from then on. As many as 1,000
 * streams whose deadlines pass ten times a second, so that a slow store does not cost good clients
 * their connection; at some 4 microseconds for each, a flood of them costs 4 % of a core. */
#define BASE_RESETS_AT_ONCE_MAX (20 * BASE_STREAMS_MAX)
#define BASE_RESETS_PER_SECOND_MAX (10 * BASE_STREAMS_MAX)
/* Frames of one connection that break the protocol and for which only their stream is reset: more
 * is no slip but a way to make us work. */
#define BASE_INVALID_FRAMES_MAX 1000
/* A TLS handshake must be over within this: a caller far away needs three round trips. */
#define BASE_HANDSHAKE_TIMEOUT_MS 10000
/* What a TLS handshake under way is counted with; OpenSSL's buffers for it. It counts as little, so
 * that new callers still come in while the budget is spent. */
#define BASE_HANDSHAKE_HELD_BYTES BASE_SMALL_HELD_BYTES
/* Names that are read from a peer's certificate, and bytes of one: a DNS name has 253 at the most,
 * a SPIFFE id 2,048, of which nobody uses as many. */
#define BASE_PEER_NAMES_MAX 32
#define BASE_PEER_NAME_MAX_BYTES 512
/* HTTP/2 frames in a row that ask for nothing (SETTINGS, WINDOW_UPDATE, PRIORITY, unknown ones,
 * DATA without data) while nothing is asked or answered: no client has a use for so many. */
#define BASE_IDLE_FRAMES_MAX 1000
/* How soon a client may ping again while nothing is answered, and how often it may be sooner: what
 * gRPC's own servers allow. */
#define BASE_PING_INTERVAL_MIN_MS 300000
#define BASE_PING_STRIKES_MAX 2
/* When nothing has come for so long, an HTTP/2 client is pinged (HTTP/1.1 has no ping, and its
 * connection is closed), and must answer within the other. gRPC's defaults. */
#define BASE_KEEPALIVE_AFTER_MS BASE_IDLE_TIMEOUT_MS
#define BASE_KEEPALIVE_TIMEOUT_MS 20000
/* A request that was begun must be complete within this. */
#define BASE_REQUEST_TIMEOUT_MS 30000
/* A connection without calls is closed, or asked whether anybody is there, after this. */
#define BASE_IDLE_TIMEOUT_MS 7200000
/* How often a connection's time-outs are looked at. */
#define BASE_TICK_MS 1000
/* How long a closed connection is still read from, so that the last answer is not lost to a reset
 * (RFC 9112, section 9.6). */
#define BASE_LINGER_TIMEOUT_MS 2000
/* How long a stopping server waits for the calls under way. */
#define BASE_DRAIN_TIMEOUT_MS 20000
/* How long it may be configured to serve on before, while it says that it is not ready, and how
 * long it does unless it is: nothing balances a loopback server. */
#define BASE_LAME_DUCK_MAX_MS 60000
#define BASE_LAME_DUCK_DEFAULT_MS 0
/* Between the notice that it stops and the end of a drain: about a round trip, in which what was on
 * its way when the notice went out arrives. */
#define BASE_DRAIN_NOTICE_MS 100

/* --- the embedded store --- */

/* Memory of RocksDB's block cache (data, filters and indexes) and of all write buffers. */
#define BASE_ROCKSDB_CACHE_BYTES (UINT64_C(256) << 20)
#define BASE_ROCKSDB_WRITE_BUFFERS_BYTES (UINT64_C(256) << 20)
/* Table files that RocksDB keeps open; beyond it they are opened again when needed. Leaves most of
 * a process's file descriptors to connections. */
#define BASE_ROCKSDB_TABLES_OPEN_MAX 512
/* Flushes and compactions at once: the machine's cores are for requests. */
#define BASE_ROCKSDB_JOBS 2
/* Bytes of log after which the oldest is done away with by flushing: bounds the time that opening
 * takes after a crash. */
#define BASE_ROCKSDB_LOG_MAX_BYTES (UINT64_C(256) << 20)
/* Bytes of the manifest after which RocksDB begins a new one: it is hashed whole whenever it has
 * grown. */
#define BASE_ROCKSDB_MANIFEST_MAX_BYTES ((size_t)4 << 20)
/* Free space below which writes are refused: the write buffers once flushed, a compaction as large
 * again, and the log. RocksDB aborts inside a write when the disk is full. */
#define BASE_FREE_SPACE_RESERVE_BYTES (UINT64_C(1) << 30)

/* --- a database --- */

/* Milliseconds for connecting and for asking the database of its state: a server that is there
 * answers at once, and one that is not must not keep a batch. */
#define BASE_DATABASE_CONNECT_TIMEOUT_MS 2000
/* Look-ups of names that are under way at once in the process, with those that nobody waits for any
 * more: each is a thread, until its name server has answered or was given up. */
#define BASE_LOOKUPS_MAX 16
/* Milliseconds for all answers of one round trip. Beyond it the connection is given up: a batch is
 * retried for BASE_RETRY_TIMEOUT_MS, and its callers must hear of it then. */
#define BASE_DATABASE_ANSWER_TIMEOUT_MS 8000
/* Milliseconds that a session waits for another's lock: a batch takes far less, so that one who
 * holds a lock for longer has stopped. Half the time for an answer, so that the wait is told. */
#define BASE_DATABASE_LOCK_TIMEOUT_MS 4000
/* Milliseconds that a session may keep its locks between the two round trips of a batch, which are
 * microseconds apart: the end of a server that was stopped there. */
#define BASE_DATABASE_IDLE_TIMEOUT_MS 3000
/* Batches of one server at once: while one waits for the database's disk, the other is decided.
 * More of them are smaller, and cost the database more (docs/performance.md). */
#define BASE_DATABASE_SESSIONS 2
/* Accounts that a session knows to be there, at 8 bytes each: half a MiB. */
#define BASE_DATABASE_KNOWN_ACCOUNTS 65536
/* Commands of a batch: beyond it a batch holds its locks for longer than it saves, where several
 * servers work on the same accounts (docs/postgres.md has the measurements). */
#define BASE_DATABASE_BATCH_MAX 500
/* Milliseconds between attempts to connect. */
#define BASE_DATABASE_RECONNECT_WAIT_MS 100
/* How often the database is asked how it is, in milliseconds. */
#define BASE_DATABASE_LOOK_AFTER_MS 1000
/* Connections of a server that read: the reading threads', one that looks after the database, and
 * some for an operator's questions. */
#define BASE_DATABASE_READERS_MAX (BASE_READERS + 2)
/* Rows that a walk over a table fetches at once: records are small, and 8 MiB of the largest. */
#define BASE_DATABASE_WALK_ROWS 1000

/* --- tokens for a database's service --- */

/* A token is renewed when so much of its life is left, in seconds: Google's metadata server gives
 * the same one again until some 4 to 5 minutes before its end, and a call that is on its way must
 * arrive with a good one. */
#define BASE_ACCESS_TOKEN_RENEW_AHEAD_S 225
/* Milliseconds before another attempt is made after one that gave no token. */
#define BASE_ACCESS_TOKEN_RETRY_WAIT_MS 1000
/* Milliseconds before a token is renewed early again because Spanner refused it: what a new one
 * does not mend, such as a clock that is off, is nothing to ask the metadata server of in every
 * call. */
#define BASE_ACCESS_TOKEN_REFUSED_WAIT_MS 10000
/* Milliseconds for the metadata server's whole answer: it is on the same machine. */
#define BASE_ACCESS_TOKEN_TIMEOUT_MS BASE_DATABASE_CONNECT_TIMEOUT_MS
/* Bytes of the metadata server's answer, and of a token: it must fit a call's headers beside the
 * others, and Google's have at most 2,048. */
#define BASE_ACCESS_TOKEN_ANSWER_MAX_BYTES 16384
#define BASE_ACCESS_TOKEN_MAX_BYTES 8192
/* Seconds that a token may say to live: a day; Google's live an hour, or twelve. */
#define BASE_ACCESS_TOKEN_LIFETIME_MAX_S 86400
/* Bytes of a service account's key file: one with the largest key has about 4,000. */
#define BASE_KEY_FILE_MAX_BYTES 16384
/* Bits of its RSA key: RFC 7518 asks for 2,048; beyond 4,096 each signature takes milliseconds. */
#define BASE_KEY_MIN_BITS 2048
#define BASE_KEY_MAX_BITS 4096

/* --- Cloud Spanner --- */

/* Batches of one server at once: a commit takes some milliseconds, most of them waited for. */
#define BASE_SPANNER_SESSIONS 8
/* Commands of a batch: each may be in a part of the database of its own, and the more of these a
 * commit touches, the longer it takes and the more it may meet others. */
#define BASE_SPANNER_BATCH_MAX 100
/* What Spanner takes as one commit: mutations (one for each column of each row, those of indexes
 * included), and bytes. */
#define BASE_SPANNER_MUTATIONS_MAX 80000
#define BASE_SPANNER_COMMIT_MAX_BYTES (100u << 20)
/* Mutations of one command: its transaction, its account and its entries' row, with their keys and
 * what the index has of them (store/spanner/write.c counts them). */
#define BASE_SPANNER_MUTATIONS_OF_COMMAND 32
/* Bytes of one message of a stream of rows: more than Spanner puts into one. */
#define BASE_SPANNER_MESSAGE_MAX_BYTES (16u << 20)
/* Seconds after which a session that may be used for 28 days is replaced. */
#define BASE_SPANNER_SESSION_AGE_MAX_S INT64_C(604800)
/* Milliseconds for an answer of the emulator: its time for a commit grows with the square of the
 * rows, to some seconds for the largest, and to a minute on a machine that is busy. */
#define BASE_SPANNER_EMULATOR_ANSWER_TIMEOUT_MS 120000
/* Milliseconds for which a transaction that was begun ahead may be used: Spanner ends those that
 * rest for 10 s. */
#define BASE_SPANNER_BEGUN_AHEAD_MAX_MS 5000
/* The wait before a commit of which nothing was heard is asked again doubles between these. */
#define BASE_SPANNER_REPEAT_WAIT_FIRST_MS 5
#define BASE_SPANNER_REPEAT_WAIT_LAST_MS 320
/* Answers of a Commit in turn that have committed nothing and give a token to come back with: one
 * is what Spanner speaks of. Beyond them what has become of the commit is unknown. */
#define BASE_SPANNER_COMMIT_TOKENS_MAX 8
/* The wait after an aborted transaction when Spanner does not say how long; it grows by a third
 * with each one in turn. A wait that Spanner asks for is kept to up to the last. */
#define BASE_SPANNER_ABORTED_WAIT_FIRST_MS 250
#define BASE_SPANNER_ABORTED_WAIT_LAST_MS 4000
/* How long a change of the schema is waited for: seconds as a rule, minutes at times. */
#define BASE_SPANNER_SCHEMA_TIMEOUT_MS 600000
/* Rows that a walk over a table fetches at once from each of a table's parts. */
#define BASE_SPANNER_WALK_ROWS 200
/* Rows of a history that are fetched at once where a filter passes over some. */
#define BASE_SPANNER_HISTORY_ROWS 500
/* Milliseconds that reads may be configured to lag behind: as long as Spanner keeps what was,
 * unless it is told otherwise. */
#define BASE_SPANNER_STALENESS_MAX_MS INT64_C(3600000)

/* --- the command line --- */

/* What --timeout may be: a day. */
#define BASE_CLIENT_TIMEOUT_MAX_MS INT64_C(86400000)
/* Entries that history shows: at the most, and when no limit is named. */
#define BASE_HISTORY_MAX 100000
#define BASE_HISTORY_DEFAULT 50
/* Bytes of a line of a configuration file, or of one of callers, without its break: what inih's
 * buffer takes. */
#define BASE_CONFIG_LINE_MAX_BYTES 198
/* Lines of a configuration file: far more than 64 kinds need. */
#define BASE_CONFIG_LINES_MAX 10000
/* Bytes of a line that is logged; a longer one is cut: a line must go out in one write to stay
 * whole among threads. */
#define BASE_LOG_LINE_MAX_BYTES 2048
/* Bytes of a request's id that is taken as it came; another is made in place of a longer one. */
#define BASE_REQUEST_ID_MAX_BYTES 64
/* Bytes of a path that are logged: more than the longest of a method. */
#define BASE_LOGGED_PATH_MAX_BYTES 128
/* What a request may take before it is logged as slow, unless configured: longer than any that is
 * answered at the first attempt; and the most that may be configured, a day. */
#define BASE_SLOW_DEFAULT_MS 1000
#define BASE_SLOW_MAX_MS 86400000
/* Slow requests that are logged in one second: callers can make many, and a disk fills up. */
#define BASE_SLOW_LINES_PER_S 10
/* Violations that verify lists; the others are counted. One broken table may make millions. */
#define BASE_VERIFY_LISTED_MAX 1000
/* Rows of a file to import. They are held in memory, since all are checked before the first is
 * sent: about 200 bytes each. */
#define BASE_IMPORT_ROWS_MAX 10000000
/* Bytes of one row, and of one line: many times what the columns that are read may have. */
#define BASE_IMPORT_ROW_MAX_BYTES 65536
/* Columns of a file to import. */
#define BASE_IMPORT_COLUMNS_MAX 256
/* The wait before an import repeats a call doubles between these. */
#define BASE_IMPORT_WAIT_FIRST_MS 20
#define BASE_IMPORT_WAIT_LAST_MS 1000
/* What bench may be asked for: rounds, seconds of each, calls begun a second, accounts, and
 * millions of commands. Beyond them an answer would not come in a day, or would not fit the store.
 */
#define BASE_BENCH_ROUNDS_MAX 100
#define BASE_BENCH_SECONDS_MAX 3600
#define BASE_BENCH_RATE_MAX 10000000
#define BASE_BENCH_ACCOUNTS_MAX 100000000
#define BASE_BENCH_MILLIONS_MAX 1000

static_assert(BASE_SUBMIT_MAX <= BASE_BATCH_MAX, "a Submit must fit one batch");
static_assert(BASE_BATCH_MAX <= BASE_QUEUE_MAX, "a full batch must be able to wait");
static_assert(BASE_AMOUNT_MAX <= INT64_MAX / BASE_LEGS_MAX,
              "a transaction's sum must not overflow");
static_assert(BASE_AMOUNTS_MAX <= BASE_KINDS_MAX, "a transaction names no kind twice");
static_assert(BASE_ELEMENTS_MAX <= BASE_ANSWER_ELEMENTS_MAX, "an answer may be the larger one");
static_assert(BASE_VIOLATION_FIELD_MAX_BYTES + BASE_VIOLATION_DESCRIPTION_MAX_BYTES <=
                  BASE_VIOLATIONS_OF_COMMAND_MAX_BYTES,
              "one violation must always fit");
static_assert(BASE_SUBMIT_MAX * 2 * BASE_VIOLATIONS_OF_COMMAND_MAX_BYTES <= BASE_ANSWER_MAX_BYTES,
              "errors of all commands, each with its message and details, must fit one answer");
static_assert(BASE_PAGE_DEFAULT <= BASE_PAGE_MAX && BASE_PAGE_MAX <= BASE_PAGE_SCAN_MAX,
              "a full page must be able to be found");
static_assert(BASE_RETRY_WAIT_FIRST_MS <= BASE_RETRY_WAIT_LAST_MS &&
                  BASE_RETRY_WAIT_LAST_MS < BASE_UNAVAILABLE_TIMEOUT_MS &&
                  BASE_UNAVAILABLE_TIMEOUT_MS <= BASE_RETRY_TIMEOUT_MS,
              "a batch must be tried several times");
static_assert(BASE_RETRY_TIMEOUT_MS < BASE_DRAIN_TIMEOUT_MS, "a drain must see a batch's end");
static_assert(BASE_DATABASE_BATCH_MAX <= BASE_BATCH_MAX, "a batch has no more commands");
static_assert(BASE_DATABASE_SESSIONS <= BASE_STORE_SESSIONS_MAX, "a store has no more sessions");
static_assert(BASE_DATABASE_IDLE_TIMEOUT_MS < BASE_DATABASE_LOCK_TIMEOUT_MS &&
                  BASE_DATABASE_LOCK_TIMEOUT_MS < BASE_DATABASE_ANSWER_TIMEOUT_MS &&
                  BASE_DATABASE_ANSWER_TIMEOUT_MS < BASE_RETRY_TIMEOUT_MS,
              "who waits must outlast whom it waits for");
static_assert(BASE_ACCESS_TOKEN_MAX_BYTES < BASE_ACCESS_TOKEN_ANSWER_MAX_BYTES &&
                  BASE_ACCESS_TOKEN_MAX_BYTES <= BASE_HEADERS_MAX_BYTES / 2,
              "a token must fit its answer, and a call's headers");
static_assert(BASE_SPANNER_BATCH_MAX <= BASE_BATCH_MAX, "a batch has no more commands");
static_assert(BASE_SPANNER_SESSIONS <= BASE_STORE_SESSIONS_MAX, "a store has no more sessions");
static_assert(BASE_BATCH_MAX * BASE_SPANNER_MUTATIONS_OF_COMMAND <= BASE_SPANNER_MUTATIONS_MAX,
              "the largest Submit must be one commit");
static_assert(BASE_BATCH_MAX * 4 * BASE_RECORD_MAX_BYTES <= BASE_SPANNER_COMMIT_MAX_BYTES,
              "the largest records, their entries and base64 must fit one commit");
static_assert(BASE_SPANNER_ABORTED_WAIT_LAST_MS < BASE_RETRY_TIMEOUT_MS,
              "a batch must be tried again after a wait");
static_assert(BASE_DRAIN_NOTICE_MS < BASE_DRAIN_TIMEOUT_MS, "a notice is part of a drain");
static_assert(BASE_TICK_MS < BASE_LINGER_TIMEOUT_MS && BASE_TICK_MS < BASE_REQUEST_TIMEOUT_MS,
              "time-outs must be looked at in time");
static_assert(BASE_REQUEST_TIMEOUT_MS < BASE_IDLE_TIMEOUT_MS, "a stalled request is no idle peer");
static_assert(BASE_STREAM_WINDOW_BYTES <= BASE_CONNECTION_WINDOW_BYTES,
              "one stream must be able to use its window");
static_assert(BASE_READ_BUFFER_BYTES < BASE_CONNECTION_WINDOW_BYTES,
              "a peer must be able to send ahead of one read");
static_assert(BASE_REQUEST_MAX_BYTES < BASE_FAVOURED_HELD_MAX_BYTES &&
                  BASE_FAVOURED_HELD_MAX_BYTES <= BASE_INFLIGHT_MAX_BYTES / 4,
              "a favoured connection must come to its end, and not take the budget");
static_assert(BASE_REQUEST_MAX_BYTES <= BASE_INFLIGHT_MAX_BYTES / 16,
              "large requests must not wait for one another");
static_assert(BASE_FREE_SPACE_RESERVE_BYTES >=
                  2 * BASE_ROCKSDB_WRITE_BUFFERS_BYTES + BASE_ROCKSDB_LOG_MAX_BYTES,
              "what is in memory must fit the disk, its compaction and the log too");

#endif
