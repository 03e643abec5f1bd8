/*
 * The store without a server around it, and with buffers so small that logs are changed, tables are
 * written and compacted all the time, which a server does once in 256 MiB.
 *
 *   disk_writer DIRECTORY WRITE_BUFFER_BYTES     with a socket as its standard input
 *
 * It reads lines such as `add t1 alice points=5`, commits them together at each empty line, and
 * answers by the socket: for each that has a record its length, four bytes in the machine's order,
 * and the record. It ends well when the socket does.
 */
#include "../../store/batch.h"
#include "store/rocksdb/rocksdb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LINE_MAX_BYTES 256
#define START_US INT64_C(1764028800000000)

static struct store *open_store(const char *directory, const char *write_buffer_bytes,
                                struct ledger_kinds *kinds, struct base_arena *arena)
{
    static const char *const codes[] = {"points", "money"};
    kinds->n_kinds = sizeof codes / sizeof codes[0];
    for (size_t i = 0; i < kinds->n_kinds; i++) {
        kinds->kinds[i] = (struct ledger_kind){.code = base_text_of(codes[i]),
                                               .max_balance_minor = INT64_MAX,
                                               .max_amount_minor = BASE_AMOUNT_MAX};
    }
    struct store_rocksdb_options options = store_rocksdb_defaults(directory, kinds);
    options.write_buffers_bytes = strtoull(write_buffer_bytes, NULL, 10);
    struct base_text message;
    struct store *store = store_rocksdb_open(&options, arena, &message);
    if (store == NULL) {
        base_stop("%.*s", BASE_TEXT_ARGS(message));
    }
    return store;
}

/* Sent in one piece, so that the disk's shim sees each answer whole. */
static void answer(const struct batch *batch)
{
    struct base_writer writer = {NULL, 0, 0};
    for (size_t i = 0; i < batch->n_commands; i++) {
        struct base_bytes record = batch->outcomes[i].record;
        if (record.bytes != NULL) {
            uint32_t length = (uint32_t)record.length;
            base_write_bytes(&writer, (struct base_bytes){(const uint8_t *)&length, sizeof length});
            base_write_bytes(&writer, record);
        }
    }
    uint32_t end = 0;
    base_write_bytes(&writer, (struct base_bytes){(const uint8_t *)&end, sizeof end});
    for (size_t sent = 0; sent < writer.length;) {
        ssize_t n = send(0, writer.bytes + sent, writer.length - sent, MSG_NOSIGNAL);
        if (n < 0) {
            base_stop("nobody reads the answers");
        }
        sent += (size_t)n;
    }
    base_writer_release(&writer);
}

int main(int argc, char **argv)
{
    base_assert(argc == 3);
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct ledger_kinds kinds = {0};
    struct store *store = open_store(argv[1], argv[2], &kinds, &arena);
    char line[LINE_MAX_BYTES];
    int64_t now_us = START_US;
    struct batch *batch = batch_open(&kinds);
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '\0') {
            batch_add_line(batch, line);
            continue;
        }
        if (batch_run(batch, store, now_us++) != STORE_OK) {
            base_stop("a batch could not be committed");
        }
        answer(batch);
        batch_close(batch);
        batch = batch_open(&kinds);
    }
    batch_close(batch);
    store_close(store);
    base_arena_release(&arena);
    return 0;
}
