/*
 * A shim between a process and its memory, for LD_PRELOAD: it counts the allocations, of C and of
 * C++ (operator new is malloc underneath), and the one that the test names fails, as it does when
 * memory has run out.
 *
 *   ZANDAKA_DISK_CONTROL     the control file (control.h)
 *
 * What the loader and the C library take for themselves before main is not counted: a process that
 * gets no further than that has done nothing.
 */
#include "control.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* The C library's own, by the names that it keeps for those who stand in front of them. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static struct control *control;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("ZANDAKA_DISK_CONTROL");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    void *page = mmap(NULL, CONTROL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (page == MAP_FAILED) {
        abort();
    }
    control = page;
}

static bool fails(void)
{
    if (control == NULL) {
        return false;
    }
    uint64_t number = ++control->n_allocations;
    uint64_t asked = control->fail_allocation;
    if (asked == 0 || number < asked || (number > asked && control->fail_from_then_on == 0)) {
        return false;
    }
    control->n_failed++;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    return fails() ? NULL : __libc_realloc(memory, size);
}

void *memalign(size_t alignment, size_t size);
void *memalign(size_t alignment, size_t size)
{
    return fails() ? NULL : __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **ret_memory, size_t alignment, size_t size)
{
    void *memory = memalign(alignment, size);
    if (memory == NULL) {
        return ENOMEM;
    }
    *ret_memory = memory;
    return 0;
}
