/* Commits of unknown outcome that arrive late, oldest first. Internal to store/faulty. */
#ifndef ZANDAKA_STORE_FAULTY_LATE_H
#define ZANDAKA_STORE_FAULTY_LATE_H

#include "store/store.h"

struct faulty_late;

/* Adds a copy of what would be committed to the end of the list. */
void faulty_late_keep(struct faulty_late **list, unsigned session,
                      const struct ledger_facts *facts);
/* Takes the list's first, which is the caller's then; NULL: the list is empty. */
struct faulty_late *faulty_late_take(struct faulty_late **list);
/* Commits it to the wrapped store, on the session that it came from, and frees it. */
enum store_fault faulty_late_land(struct faulty_late *late, struct store *wrapped) BASE_MUST_USE;
/* Forgets them all: they never arrived. */
void faulty_late_drop(struct faulty_late **list);

#endif
