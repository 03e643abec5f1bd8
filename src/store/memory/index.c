#include "store/memory/tables.h"

#include <stdlib.h>

#define SLOTS_FIRST 64 /* slots of an index with its first row */

/* The slot that holds `id`, or the free one where it belongs. */
static struct memory_index_slot *slot_of(const struct memory_index *index, struct base_text id)
{
    size_t at = (size_t)base_hash(base_bytes_of(id)) & (index->n_slots - 1);
    while (index->slots[at].row != NULL && !base_text_equal(index->slots[at].id, id)) {
        at = (at + 1) & (index->n_slots - 1);
    }
    return &index->slots[at];
}

static void grow(struct memory_index *index)
{
    struct memory_index grown = {.n_slots = index->n_slots > 0 ? index->n_slots * 2 : SLOTS_FIRST,
                                 .n_rows = index->n_rows};
    grown.slots = base_allocate_zeroed(grown.n_slots, sizeof *grown.slots);
    for (size_t i = 0; i < index->n_slots; i++) {
        if (index->slots[i].row != NULL) {
            *slot_of(&grown, index->slots[i].id) = index->slots[i];
        }
    }
    free(index->slots);
    *index = grown;
}

void *memory_index_find(const struct memory_index *index, struct base_text id)
{
    return index->n_slots > 0 ? slot_of(index, id)->row : NULL;
}

void memory_index_insert(struct memory_index *index, struct base_text id, void *row)
{
    if (index->n_rows * 2 >= index->n_slots) {
        grow(index);
    }
    struct memory_index_slot *slot = slot_of(index, id);
    base_assert(slot->row == NULL);
    *slot = (struct memory_index_slot){.id = id, .row = row};
    index->n_rows++;
}
