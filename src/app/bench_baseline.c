#include "app/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* One batch: its records in one write, then the sync. False: errno says why. */
static bool append_batch(int fd, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);
        if (n < 0) {
            return false;
        }
        bytes += n;
        length -= (size_t)n;
    }
    return fdatasync(fd) == 0;
}

bool bench_baseline_run(const char *directory, size_t record_bytes, unsigned batch,
                        int64_t duration_ns, struct base_arena *arena,
                        struct bench_baseline_result *ret_result, struct base_text *ret_message)
{
    const char *path = base_arena_print(arena, "%s/baseline", directory).bytes;
    size_t length = record_bytes * batch;
    uint8_t *bytes = base_arena_take(arena, length);
    /* Not zeros, which a file system may keep in less space than it is asked for. */
    for (size_t i = 0; i < length; i++) {
        bytes[i] = (uint8_t)(i * 131 + (i >> 8));
    }
    struct bench_baseline_result result = {0};
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool sound = fd >= 0;
    int64_t begin_ns = base_now_mono_ns(&base_clock_system);
    while (sound && result.duration_ns < duration_ns) {
        sound = append_batch(fd, bytes, length);
        result.records += batch;
        result.syncs++;
        result.duration_ns = base_now_mono_ns(&base_clock_system) - begin_ns;
    }
    if (!sound) {
        *ret_message = base_arena_print(arena, "cannot append to %s: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
        (void)unlink(path);
    }
    if (sound) {
        *ret_result = result;
    }
    return sound;
}
