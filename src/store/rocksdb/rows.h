/*
 * The rows of the embedded store as bytes, format version 2. Numbers are varints (signed ones
 * zigzag) but where order in the store matters: there they are eight bytes, big-endian.
 *
 *   family    key                                    value
 *   default   "format"                               format version
 *   default   "state"                                last batch, last position
 *   journal   position                               length of the caller's name, the name, the
 *                                                    record's bytes
 *   ids       transaction id                         position
 *   accounts  account id                             version, time, status, then for each kind with
 *                                                    a balance: stored number, available, held
 *   entries   account id, 0x00, inverted sequence    position, operation, stored number of the
 *                                                    kind, amount, balance after, held amount,
 *                                                    held after, time
 *   kinds     code                                   stored number, expiring
 *   progress  (nothing writes it so far)
 *
 * A kind's stored number is the store's own and never changes; its number in struct ledger_kinds is
 * its place in the configuration. Only this file turns the one into the other.
 *
 * Reading is strict: bytes that this version could not have written are refused, since a balance
 * that was guessed is worse than none. Pure functions, any thread.
 */
#ifndef ZANDAKA_STORE_ROCKSDB_ROWS_H
#define ZANDAKA_STORE_ROCKSDB_ROWS_H

#include "base/base.h"
#include "ledger/ledger.h"

/* What is written under "format". A store with another number is refused. */
#define STORE_ROCKSDB_FORMAT 2
/* The same while another store is being copied into it: no version opens that as a store. */
#define STORE_ROCKSDB_FORMAT_COPYING (1000 + STORE_ROCKSDB_FORMAT)

#define STORE_ROCKSDB_FORMAT_KEY BASE_TEXT("format")
#define STORE_ROCKSDB_STATE_KEY BASE_TEXT("state")

#define STORE_ROCKSDB_POSITION_BYTES 8
/* An account id, the byte that ends it, and a sequence. */
#define STORE_ROCKSDB_ENTRY_KEY_MAX_BYTES (BASE_ID_MAX_BYTES + 1 + 8)

/* How far the store has come: part of every batch that is written, so that what recovery gives can
 * be compared with what is known to have been durable. */
struct store_rocksdb_state {
    uint64_t batch;    /* number of the last batch, from 1 */
    uint64_t position; /* of the last transaction in the journal; 0: none */
};

/* Which stored number is which of the configured kinds. */
struct store_rocksdb_kind_map {
    size_t n_kinds;                     /* of struct ledger_kinds */
    size_t n_stored;                    /* stored numbers are 0 to n_stored - 1 */
    int stored_numbers[BASE_KINDS_MAX]; /* by kind number */
    int kind_numbers[BASE_KINDS_MAX];   /* by stored number */
};

/* Keys go to memory of the caller. */
void store_rocksdb_position_key(uint64_t position, uint8_t key[STORE_ROCKSDB_POSITION_BYTES]);
size_t store_rocksdb_entry_key(struct base_text account_id, int64_t sequence,
                               uint8_t key[STORE_ROCKSDB_ENTRY_KEY_MAX_BYTES]);

/* Values are appended to `writer`. */
void store_rocksdb_write_format(struct base_writer *writer, uint64_t format);
void store_rocksdb_write_state(struct base_writer *writer, struct store_rocksdb_state state);
void store_rocksdb_write_kind(struct base_writer *writer, int stored_number);
/* `caller` empty: not known. */
void store_rocksdb_write_recorded(struct base_writer *writer, struct base_text caller,
                                  struct base_bytes record);
void store_rocksdb_write_account(struct base_writer *writer,
                                 const struct store_rocksdb_kind_map *map,
                                 const struct ledger_account *account);
void store_rocksdb_write_entry(struct base_writer *writer, const struct store_rocksdb_kind_map *map,
                               const struct ledger_entry *entry, uint64_t position);

/* Back. False: malformed, and what ret_ points to is left alone. */
bool store_rocksdb_read_format(struct base_bytes value, uint64_t *ret_format) BASE_MUST_USE;
bool store_rocksdb_read_state(struct base_bytes value,
                              struct store_rocksdb_state *ret_state) BASE_MUST_USE;
bool store_rocksdb_read_kind(struct base_bytes value, int *ret_stored_number) BASE_MUST_USE;
/* Also the value of an id's row. */
bool store_rocksdb_read_position(struct base_bytes key, uint64_t *ret_position) BASE_MUST_USE;
/* Both point into the value. Whether the record itself makes sense is not looked at. */
bool store_rocksdb_read_recorded(struct base_bytes value, struct base_text *ret_caller,
                                 struct base_bytes *ret_record) BASE_MUST_USE;
/* All but the id, which is the key. The balances are in the arena. */
bool store_rocksdb_read_account(struct base_bytes value, const struct store_rocksdb_kind_map *map,
                                struct base_arena *arena,
                                struct ledger_account *ret_account) BASE_MUST_USE;
/* The account id points into the key. */
bool store_rocksdb_read_entry_key(struct base_bytes key, struct base_text *ret_account_id,
                                  int64_t *ret_sequence) BASE_MUST_USE;
/* All but what the key has and the texts, which are in the record at the position. */
bool store_rocksdb_read_entry(struct base_bytes value, const struct store_rocksdb_kind_map *map,
                              struct ledger_entry *ret_entry, uint64_t *ret_position) BASE_MUST_USE;

/* An id as a key may hold it. */
bool store_rocksdb_id_is_sound(struct base_text id);
/* An account that the store has never seen: all zeros (contract 5). */
void store_rocksdb_account_unseen(struct ledger_account *account, size_t n_kinds,
                                  struct base_arena *arena);

#endif
