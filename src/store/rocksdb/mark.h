/*
 * The mark: a small file beside the store that says which batch is known to have been durable.
 *
 * RocksDB recovers its log up to the first record that fails its checksum. That is right for a
 * record that a power cut tore, which nobody was told of, and wrong for a bit that flipped in the
 * middle: then batches that were answered would be gone without a word (contract 3.12). RocksDB
 * cannot tell the two apart; the mark can. It is written after each synced batch, so it never says
 * more than what is durable, and recovery must give at least what it says.
 *
 * The mark itself is not synced, but at the opening and the closing of the store: a crash of the
 * process loses nothing of it, a crash of the machine may leave an older mark, which asks for less.
 * It has two slots, written in turn, far enough apart never to be torn by one broken write; the
 * valid one with the higher batch counts. Without any valid slot nothing is known: the store opens,
 * with a warning, since the harm is to the mark and not to the money.
 *
 * Two more slots say the same of the manifest (manifest.h).
 */
#ifndef ZANDAKA_STORE_ROCKSDB_MARK_H
#define ZANDAKA_STORE_ROCKSDB_MARK_H

#include "store/rocksdb/manifest.h"
#include "store/rocksdb/rows.h"

#define STORE_ROCKSDB_MARK_FILE "zandaka.mark"

enum store_rocksdb_mark_found {
    STORE_ROCKSDB_MARK_ABSENT, /* no such file: a new store, or a copy of one */
    STORE_ROCKSDB_MARK_BROKEN, /* a file without a valid slot */
    STORE_ROCKSDB_MARK_VALID,
    STORE_ROCKSDB_MARK_UNREADABLE /* errno says why */
};

/* What the mark in the directory says; *ret_state only when it is valid. */
enum store_rocksdb_mark_found store_rocksdb_mark_read(int directory_fd,
                                                      struct store_rocksdb_state *ret_state);

/* What it says of the manifest; false: nothing that can be read. */
bool store_rocksdb_mark_read_manifest(int directory_fd,
                                      struct store_rocksdb_manifest *ret_manifest);

/* The mark, open to be written: made when there is none, both slots saying `state`, synced. Gives
 * the file, or -1 with errno. */
int store_rocksdb_mark_open(int directory_fd, struct store_rocksdb_state state);
/* After each synced batch; not synced. False: errno says why. */
bool store_rocksdb_mark_write(int mark_fd, struct store_rocksdb_state state) BASE_MUST_USE;
/* Of what is durable of the manifest; not synced. `turn` counts the calls. False: errno says why.
 */
bool store_rocksdb_mark_write_manifest(int mark_fd, unsigned turn,
                                       struct store_rocksdb_manifest manifest) BASE_MUST_USE;
/* Syncs and closes. */
void store_rocksdb_mark_close(int mark_fd);

#endif
