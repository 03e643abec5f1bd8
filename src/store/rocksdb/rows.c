#include "store/rocksdb/rows.h"

#include <string.h>

/* The byte after an account id in an entry's key: below every byte that an id may have, so that one
 * account's entries never lie among another's. */
#define ENTRY_KEY_ID_END 0x00

/* The only status so far. Another one is a later version's (a frozen account, say), and to read
 * such a row as if it had none would be wrong. */
#define ACCOUNT_STATUS_OPEN 0
#define KIND_NOT_EXPIRING 0

static void put_u64_be(uint8_t *bytes, uint64_t value)
{
    for (int shift = 56; shift >= 0; shift -= 8) {
        *bytes++ = (uint8_t)(value >> shift);
    }
}

void store_rocksdb_position_key(uint64_t position, uint8_t key[STORE_ROCKSDB_POSITION_BYTES])
{
    put_u64_be(key, position);
}

size_t store_rocksdb_entry_key(struct base_text account_id, int64_t sequence,
                               uint8_t key[STORE_ROCKSDB_ENTRY_KEY_MAX_BYTES])
{
    base_assert(store_rocksdb_id_is_sound(account_id));
    memcpy(key, account_id.bytes, account_id.length);
    key[account_id.length] = ENTRY_KEY_ID_END;
    /* Inverted, so that the newest comes first when RocksDB reads forwards, its faster way. */
    put_u64_be(key + account_id.length + 1, ~(uint64_t)sequence);
    return account_id.length + 1 + 8;
}

void store_rocksdb_write_format(struct base_writer *writer, uint64_t format)
{
    base_write_varint(writer, format);
}

void store_rocksdb_write_state(struct base_writer *writer, struct store_rocksdb_state state)
{
    base_write_varint(writer, state.batch);
    base_write_varint(writer, state.position);
}

void store_rocksdb_write_kind(struct base_writer *writer, int stored_number)
{
    base_write_varint(writer, (uint64_t)stored_number);
    base_write_u8(writer, KIND_NOT_EXPIRING);
}

void store_rocksdb_write_recorded(struct base_writer *writer, struct base_text caller,
                                  struct base_bytes record)
{
    base_assert(caller.length <= BASE_CALLER_MAX_BYTES);
    base_write_varint(writer, caller.length);
    base_write_bytes(writer, base_bytes_of(caller));
    base_write_bytes(writer, record);
}

void store_rocksdb_write_account(struct base_writer *writer,
                                 const struct store_rocksdb_kind_map *map,
                                 const struct ledger_account *account)
{
    base_write_varint(writer, (uint64_t)account->version);
    base_write_varint_signed(writer, account->last_time_us);
    base_write_u8(writer, ACCOUNT_STATUS_OPEN);
    for (size_t stored = 0; stored < map->n_stored; stored++) {
        const struct ledger_balance *balance = &account->balances[map->kind_numbers[stored]];
        if (balance->available_minor != 0 || balance->held_minor != 0) {
            base_write_varint(writer, stored);
            base_write_varint(writer, (uint64_t)balance->available_minor);
            base_write_varint(writer, (uint64_t)balance->held_minor);
        }
    }
}

void store_rocksdb_write_entry(struct base_writer *writer, const struct store_rocksdb_kind_map *map,
                               const struct ledger_entry *entry, uint64_t position)
{
    base_write_varint(writer, position);
    base_write_varint(writer, (uint64_t)entry->operation);
    base_write_varint(writer, (uint64_t)map->stored_numbers[entry->kind_number]);
    base_write_varint_signed(writer, entry->amount_minor);
    base_write_varint(writer, (uint64_t)entry->balance_after_minor);
    base_write_varint_signed(writer, entry->held_amount_minor);
    base_write_varint(writer, (uint64_t)entry->held_after_minor);
    base_write_varint_signed(writer, entry->create_time_us);
}

/* A number that is never negative and fits int64; anything else fails the reader. */
static int64_t read_natural(struct base_reader *reader)
{
    uint64_t value = base_read_varint(reader);
    if (value > INT64_MAX) {
        reader->failed = true;
        return 0;
    }
    return (int64_t)value;
}

static int64_t read_time(struct base_reader *reader)
{
    int64_t time_us = base_read_varint_signed(reader);
    if (time_us < BASE_TIME_MIN_US || time_us > BASE_TIME_MAX_US) {
        reader->failed = true;
    }
    return time_us;
}

bool store_rocksdb_read_format(struct base_bytes value, uint64_t *ret_format)
{
    struct base_reader reader = base_reader_of(value);
    uint64_t format = base_read_varint(&reader);
    if (!base_reader_done(&reader)) {
        return false;
    }
    *ret_format = format;
    return true;
}

bool store_rocksdb_read_state(struct base_bytes value, struct store_rocksdb_state *ret_state)
{
    struct base_reader reader = base_reader_of(value);
    struct store_rocksdb_state state = {0};
    state.batch = base_read_varint(&reader);
    state.position = base_read_varint(&reader);
    if (!base_reader_done(&reader) || state.batch == 0) {
        return false;
    }
    *ret_state = state;
    return true;
}

bool store_rocksdb_read_kind(struct base_bytes value, int *ret_stored_number)
{
    struct base_reader reader = base_reader_of(value);
    uint64_t stored = base_read_varint(&reader);
    uint8_t expiring = base_read_u8(&reader);
    if (!base_reader_done(&reader) || stored >= BASE_KINDS_MAX || expiring != KIND_NOT_EXPIRING) {
        return false;
    }
    *ret_stored_number = (int)stored;
    return true;
}

bool store_rocksdb_read_position(struct base_bytes key, uint64_t *ret_position)
{
    struct base_reader reader = base_reader_of(key);
    uint64_t position = base_read_u64_be(&reader);
    if (!base_reader_done(&reader) || position == 0) {
        return false;
    }
    *ret_position = position;
    return true;
}

bool store_rocksdb_read_recorded(struct base_bytes value, struct base_text *ret_caller,
                                 struct base_bytes *ret_record)
{
    struct base_reader reader = base_reader_of(value);
    uint64_t length = base_read_varint(&reader);
    if (reader.failed || length > BASE_CALLER_MAX_BYTES) {
        return false;
    }
    struct base_text caller = base_text_from(base_read_bytes(&reader, (size_t)length));
    if (reader.failed || !base_text_is_printable_ascii(caller) || reader.at == reader.end) {
        return false;
    }
    *ret_caller = caller;
    *ret_record = (struct base_bytes){reader.at, (size_t)(reader.end - reader.at)};
    return true;
}

bool store_rocksdb_read_account(struct base_bytes value, const struct store_rocksdb_kind_map *map,
                                struct base_arena *arena, struct ledger_account *ret_account)
{
    struct base_reader reader = base_reader_of(value);
    int64_t version = read_natural(&reader);
    int64_t last_time_us = read_time(&reader);
    uint8_t status = base_read_u8(&reader);
    if (reader.failed || version == 0 || status != ACCOUNT_STATUS_OPEN) {
        return false;
    }
    struct ledger_balance *balances = base_arena_take_zeroed(arena, map->n_kinds, sizeof *balances);
    uint64_t lowest_next = 0;
    while (reader.at < reader.end && !reader.failed) {
        uint64_t stored = base_read_varint(&reader);
        if (stored < lowest_next || stored >= map->n_stored) {
            return false;
        }
        struct ledger_balance *balance = &balances[map->kind_numbers[stored]];
        balance->available_minor = read_natural(&reader);
        balance->held_minor = read_natural(&reader);
        if (balance->held_minor > INT64_MAX - balance->available_minor ||
            (balance->available_minor == 0 && balance->held_minor == 0)) {
            return false;
        }
        lowest_next = stored + 1;
    }
    if (!base_reader_done(&reader)) {
        return false;
    }
    ret_account->version = version;
    ret_account->last_time_us = last_time_us;
    ret_account->balances = balances;
    ret_account->changed = false;
    ret_account->loaded_version = version;
    return true;
}

bool store_rocksdb_read_entry_key(struct base_bytes key, struct base_text *ret_account_id,
                                  int64_t *ret_sequence)
{
    if (key.length < 1 + 1 + 8) {
        return false;
    }
    struct base_text account_id = {(const char *)key.bytes, key.length - 1 - 8};
    struct base_reader reader =
        base_reader_of((struct base_bytes){key.bytes + account_id.length, 1 + 8});
    uint8_t end = base_read_u8(&reader);
    uint64_t sequence = ~base_read_u64_be(&reader);
    if (end != ENTRY_KEY_ID_END || !store_rocksdb_id_is_sound(account_id) || sequence == 0 ||
        sequence > INT64_MAX) {
        return false;
    }
    *ret_account_id = account_id;
    *ret_sequence = (int64_t)sequence;
    return true;
}

bool store_rocksdb_read_entry(struct base_bytes value, const struct store_rocksdb_kind_map *map,
                              struct ledger_entry *ret_entry, uint64_t *ret_position)
{
    struct base_reader reader = base_reader_of(value);
    uint64_t position = base_read_varint(&reader);
    uint64_t operation = base_read_varint(&reader);
    uint64_t stored = base_read_varint(&reader);
    struct ledger_entry entry = *ret_entry;
    entry.amount_minor = base_read_varint_signed(&reader);
    entry.balance_after_minor = read_natural(&reader);
    entry.held_amount_minor = base_read_varint_signed(&reader);
    entry.held_after_minor = read_natural(&reader);
    entry.create_time_us = read_time(&reader);
    /* A cancel touches no account, so it has no entries (contract 3.7). */
    bool known = operation == RECORD_OPERATION_ADD || operation == RECORD_OPERATION_CONSUME;
    if (!base_reader_done(&reader) || position == 0 || !known || stored >= map->n_stored) {
        return false;
    }
    entry.kind_number = map->kind_numbers[stored];
    entry.operation = (enum record_operation)operation;
    *ret_entry = entry;
    *ret_position = position;
    return true;
}

bool store_rocksdb_id_is_sound(struct base_text id)
{
    return id.length >= 1 && id.length <= BASE_ID_MAX_BYTES && base_text_is_printable_ascii(id);
}

void store_rocksdb_account_unseen(struct ledger_account *account, size_t n_kinds,
                                  struct base_arena *arena)
{
    account->version = 0;
    account->last_time_us = INT64_MIN;
    account->balances = base_arena_take_zeroed(arena, n_kinds, sizeof *account->balances);
    account->changed = false;
    account->loaded_version = 0;
}
