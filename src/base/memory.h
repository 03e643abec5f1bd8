/*
 * Memory. Everything that a caller can make the server hold is bounded by limits.h, so memory that
 * runs out all the same is no state to go on from: the process says so and stops, which is safe at
 * every moment, since nothing is answered before it is durable. So no function here fails.
 */
#ifndef ZANDAKA_BASE_MEMORY_H
#define ZANDAKA_BASE_MEMORY_H

#include "base/bytes.h"

#include <stddef.h>

/* `size` bytes, uninitialised, aligned for any type; never NULL. The caller frees with free(). */
void *base_allocate(size_t size) __attribute__((malloc, returns_nonnull));
/* The same, zeroed, for `count` elements of `size` bytes. */
void *base_allocate_zeroed(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
/* `memory` (or NULL), grown or shrunk to `size` bytes. */
void *base_reallocate(void *memory, size_t size) __attribute__((returns_nonnull));

struct base_arena_chunk;

/*
 * An arena: memory that is taken piece by piece and given back all at once. One for each request
 * and one for each batch. Used by one thread at a time; embedded by its owner.
 */
struct base_arena {
    struct base_arena_chunk *chunk; /* the chunk in use, linked to the full ones */
    size_t used;                    /* bytes used of it */
};

/* An empty arena holds no memory until the first take. */
#define BASE_ARENA_EMPTY ((struct base_arena){0})

/* `size` bytes, uninitialised, aligned to 16; valid until the arena is reset or released. */
void *base_arena_take(struct base_arena *arena, size_t size) __attribute__((returns_nonnull));
/* The same, zeroed, for `count` elements of `size` bytes. */
void *base_arena_take_zeroed(struct base_arena *arena, size_t count, size_t size)
    __attribute__((returns_nonnull));
/* A copy in the arena. The text's copy is followed by a NUL that its length does not count. */
struct base_text base_arena_text(struct base_arena *arena, struct base_text text);
struct base_bytes base_arena_bytes(struct base_arena *arena, struct base_bytes bytes);
/* Text made as by printf; followed by a NUL that its length does not count. */
struct base_text base_arena_print(struct base_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Bytes that the arena holds from the system. */
size_t base_arena_held(const struct base_arena *arena);
/* Forgets all that was taken and keeps one chunk for what comes. */
void base_arena_reset(struct base_arena *arena);
/* Gives all memory back; the arena is empty again. */
void base_arena_release(struct base_arena *arena);

#endif
