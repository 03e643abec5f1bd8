#include "store/rocksdb/mark.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* A slot is batch, position and a checksum of both, each eight bytes, big-endian. The slots stand
 * in different pages, so that no write of one can touch the other. */
#define SLOT_BYTES 24
#define SLOT_DISTANCE_BYTES 4096
#define SLOTS 2
/* Behind them, as many for the manifest: number, length, hash, and the checksum. */
#define MANIFEST_SLOT_BYTES 32

static bool decode_slot(const uint8_t bytes[SLOT_BYTES], struct store_rocksdb_state *ret_state)
{
    struct base_reader reader = base_reader_of((struct base_bytes){bytes, SLOT_BYTES});
    struct store_rocksdb_state state = {0};
    state.batch = base_read_u64_be(&reader);
    state.position = base_read_u64_be(&reader);
    uint64_t checksum = base_read_u64_be(&reader);
    if (checksum != base_hash((struct base_bytes){bytes, SLOT_BYTES - 8})) {
        return false;
    }
    *ret_state = state;
    return true;
}

enum store_rocksdb_mark_found store_rocksdb_mark_read(int directory_fd,
                                                      struct store_rocksdb_state *ret_state)
{
    int fd = openat(directory_fd, STORE_ROCKSDB_MARK_FILE, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? STORE_ROCKSDB_MARK_ABSENT : STORE_ROCKSDB_MARK_UNREADABLE;
    }
    enum store_rocksdb_mark_found found = STORE_ROCKSDB_MARK_BROKEN;
    struct store_rocksdb_state best = {0};
    for (int slot = 0; slot < SLOTS; slot++) {
        uint8_t bytes[SLOT_BYTES];
        ssize_t length = pread(fd, bytes, sizeof bytes, (off_t)slot * SLOT_DISTANCE_BYTES);
        if (length < 0) {
            int error = errno;
            (void)close(fd);
            errno = error;
            return STORE_ROCKSDB_MARK_UNREADABLE;
        }
        struct store_rocksdb_state state;
        if (length == SLOT_BYTES && decode_slot(bytes, &state) && state.batch >= best.batch) {
            found = STORE_ROCKSDB_MARK_VALID;
            best = state;
        }
    }
    (void)close(fd);
    if (found == STORE_ROCKSDB_MARK_VALID) {
        *ret_state = best;
    }
    return found;
}

bool store_rocksdb_mark_read_manifest(int directory_fd, struct store_rocksdb_manifest *ret_manifest)
{
    int fd = openat(directory_fd, STORE_ROCKSDB_MARK_FILE, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool found = false;
    struct store_rocksdb_manifest best = {0};
    for (int slot = SLOTS; slot < 2 * SLOTS; slot++) {
        uint8_t bytes[MANIFEST_SLOT_BYTES];
        if (pread(fd, bytes, sizeof bytes, (off_t)slot * SLOT_DISTANCE_BYTES) != sizeof bytes) {
            continue;
        }
        struct base_reader reader = base_reader_of((struct base_bytes){bytes, sizeof bytes});
        struct store_rocksdb_manifest manifest = {0};
        manifest.number = base_read_u64_be(&reader);
        manifest.length = base_read_u64_be(&reader);
        manifest.hash = base_read_u64_be(&reader);
        bool valid =
            base_read_u64_be(&reader) == base_hash((struct base_bytes){bytes, sizeof bytes - 8});
        if (valid && (manifest.number > best.number ||
                      (manifest.number == best.number && manifest.length >= best.length))) {
            found = true;
            best = manifest;
        }
    }
    (void)close(fd);
    if (found) {
        *ret_manifest = best;
    }
    return found;
}

/* Adds the checksum, writes, and releases the writer. */
static bool write_slot(int mark_fd, int slot, struct base_writer *writer)
{
    base_write_u64_be(writer, base_hash(base_writer_bytes(writer)));
    ssize_t written =
        pwrite(mark_fd, writer->bytes, writer->length, (off_t)slot * SLOT_DISTANCE_BYTES);
    bool whole = written == (ssize_t)writer->length;
    if (written >= 0 && !whole) {
        errno = EIO;
    }
    base_writer_release(writer);
    return whole;
}

static bool write_state(int mark_fd, int slot, struct store_rocksdb_state state)
{
    struct base_writer writer = {NULL, 0, 0};
    base_write_u64_be(&writer, state.batch);
    base_write_u64_be(&writer, state.position);
    return write_slot(mark_fd, slot, &writer);
}

int store_rocksdb_mark_open(int directory_fd, struct store_rocksdb_state state)
{
    int fd = openat(directory_fd, STORE_ROCKSDB_MARK_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -1;
    }
    /* Synced here, the file has its blocks, and what a later power cut tears is one slot. One slot
     * after the other, so that one of them is valid at every moment. */
    for (int slot = 0; slot < SLOTS; slot++) {
        if (!write_state(fd, slot, state) || fsync(fd) != 0) {
            goto failed;
        }
    }
    if (fsync(directory_fd) != 0) {
        goto failed;
    }
    return fd;

failed:;
    int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

bool store_rocksdb_mark_write(int mark_fd, struct store_rocksdb_state state)
{
    return write_state(mark_fd, (int)(state.batch % SLOTS), state);
}

bool store_rocksdb_mark_write_manifest(int mark_fd, unsigned turn,
                                       struct store_rocksdb_manifest manifest)
{
    struct base_writer writer = {NULL, 0, 0};
    base_write_u64_be(&writer, manifest.number);
    base_write_u64_be(&writer, manifest.length);
    base_write_u64_be(&writer, manifest.hash);
    return write_slot(mark_fd, (int)(SLOTS + turn % SLOTS), &writer);
}

void store_rocksdb_mark_close(int mark_fd)
{
    if (mark_fd >= 0) {
        (void)fsync(mark_fd); /* An older mark than could be is still a right one. */
        (void)close(mark_fd);
    }
}
