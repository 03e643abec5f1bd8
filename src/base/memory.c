#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What fits one page and its malloc header; later chunks double up to a quarter of a MiB. */
#define CHUNK_FIRST_BYTES ((size_t)4096 - 64)
#define CHUNK_LAST_BYTES ((size_t)256 << 10)
#define ALIGNMENT ((size_t)16)

struct base_arena_chunk {
    struct base_arena_chunk *previous;
    size_t capacity; /* bytes behind this header */
    max_align_t bytes[];
};

void *base_allocate(size_t size)
{
    void *memory = malloc(size > 0 ? size : 1);
    if (memory == NULL) {
        base_stop("out of memory (%zu bytes were asked for)", size);
    }
    return memory;
}

void *base_allocate_zeroed(size_t count, size_t size)
{
    void *memory = calloc(count > 0 ? count : 1, size > 0 ? size : 1);
    if (memory == NULL) {
        base_stop("out of memory (%zu times %zu bytes were asked for)", count, size);
    }
    return memory;
}

void *base_reallocate(void *memory, size_t size)
{
    void *moved = realloc(memory, size > 0 ? size : 1);
    if (moved == NULL) {
        base_stop("out of memory (%zu bytes were asked for)", size);
    }
    return moved;
}

static void arena_grow(struct base_arena *arena, size_t size)
{
    size_t capacity = CHUNK_FIRST_BYTES;
    if (arena->chunk != NULL) {
        capacity = arena->chunk->capacity * 2;
        if (capacity > CHUNK_LAST_BYTES) {
            capacity = CHUNK_LAST_BYTES;
        }
    }
    if (capacity < size) {
        capacity = size;
    }
    struct base_arena_chunk *chunk = base_allocate(sizeof *chunk + capacity);
    chunk->previous = arena->chunk;
    chunk->capacity = capacity;
    arena->chunk = chunk;
    arena->used = 0;
}

void *base_arena_take(struct base_arena *arena, size_t size)
{
    base_assert(size <= SIZE_MAX / 2);
    size = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    if (arena->chunk == NULL || arena->chunk->capacity - arena->used < size) {
        arena_grow(arena, size);
    }
    uint8_t *memory = (uint8_t *)arena->chunk->bytes + arena->used;
    arena->used += size;
    return memory;
}

void *base_arena_take_zeroed(struct base_arena *arena, size_t count, size_t size)
{
    base_assert(size == 0 || count <= SIZE_MAX / 2 / size);
    return memset(base_arena_take(arena, count * size), 0, count * size);
}

struct base_text base_arena_text(struct base_arena *arena, struct base_text text)
{
    char *copy = base_arena_take(arena, text.length + 1);
    if (text.length > 0) {
        memcpy(copy, text.bytes, text.length);
    }
    copy[text.length] = '\0';
    return (struct base_text){copy, text.length};
}

struct base_bytes base_arena_bytes(struct base_arena *arena, struct base_bytes bytes)
{
    return base_bytes_of(base_arena_text(arena, base_text_from(bytes)));
}

struct base_text base_arena_print(struct base_arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    base_assert(length >= 0);
    char *text = base_arena_take(arena, (size_t)length + 1);
    (void)vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return (struct base_text){text, (size_t)length};
}

size_t base_arena_held(const struct base_arena *arena)
{
    size_t held = 0;
    for (const struct base_arena_chunk *chunk = arena->chunk; chunk != NULL;
         chunk = chunk->previous) {
        held += sizeof *chunk + chunk->capacity;
    }
    return held;
}

void base_arena_reset(struct base_arena *arena)
{
    struct base_arena_chunk *kept = arena->chunk;
    if (kept == NULL) {
        return;
    }
    struct base_arena rest = {.chunk = kept->previous};
    base_arena_release(&rest);
    /* A chunk made for one large piece is not kept: what comes next is rarely as large. */
    if (kept->capacity > CHUNK_LAST_BYTES) {
        free(kept);
        kept = NULL;
    } else {
        kept->previous = NULL;
    }
    *arena = (struct base_arena){.chunk = kept};
}

void base_arena_release(struct base_arena *arena)
{
    struct base_arena_chunk *chunk = arena->chunk;
    while (chunk != NULL) {
        struct base_arena_chunk *previous = chunk->previous;
        free(chunk);
        chunk = previous;
    }
    *arena = BASE_ARENA_EMPTY;
}
