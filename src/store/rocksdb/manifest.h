/*
 * What is known of RocksDB's manifest, the list of the tables that make up the store.
 *
 * RocksDB reads its manifest up to the last whole record. That is right for a record that a power
 * cut tore, and wrong for a bit that flipped in a record's length near the end: then tables that
 * were complete are not in the list any more, and the rows in them are gone without a word, of one
 * family only: an id that succeeded could succeed again (contract 3.2). A manifest only grows, so a
 * hash over the part that is known to be durable tells the two apart. It stands in the mark
 * (mark.h), and is renewed at the opening, at the closing, and after any commit that finds the
 * manifest longer; what a flush or a compaction adds to it is unprotected until the next of these.
 */
#ifndef ZANDAKA_STORE_ROCKSDB_MANIFEST_H
#define ZANDAKA_STORE_ROCKSDB_MANIFEST_H

#include "base/base.h"

/* A manifest's durable beginning. */
struct store_rocksdb_manifest {
    uint64_t number; /* in its name; a later one has a higher number */
    uint64_t length; /* bytes */
    uint64_t hash;   /* of these */
};

/* The manifest that a writer follows; begins as STORE_ROCKSDB_MANIFEST_NONE. */
struct store_rocksdb_manifest_follower {
    int fd;        /* -1: none so far */
    unsigned turn; /* which place in the mark is next */
    struct store_rocksdb_manifest known;
};

#define STORE_ROCKSDB_MANIFEST_NONE ((struct store_rocksdb_manifest_follower){.fd = -1})

enum store_rocksdb_manifest_found {
    STORE_ROCKSDB_MANIFEST_SOUND, /* or nothing is known of it */
    STORE_ROCKSDB_MANIFEST_DAMAGED,
    STORE_ROCKSDB_MANIFEST_UNREADABLE /* errno says why */
};

/* Whether the manifest in use begins as the mark in the directory says. One that is newer than the
 * mark is what an opening leaves that was interrupted: the one before it was looked at then. */
enum store_rocksdb_manifest_found store_rocksdb_manifest_check(int directory_fd);

/* Makes the manifest durable and notes it in the mark, when it has changed since the last time. The
 * writer's thread. False: errno says why. */
bool store_rocksdb_manifest_note(struct store_rocksdb_manifest_follower *follower, int directory_fd,
                                 int mark_fd) BASE_MUST_USE;
void store_rocksdb_manifest_unfollow(struct store_rocksdb_manifest_follower *follower);

#endif
