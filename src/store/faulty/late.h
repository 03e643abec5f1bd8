/* Commits of unknown outcome that arrive late, oldest first. Internal to store/faulty. */
#ifndef ZANDAKA_STORE_FAULTY_LATE_H
#define ZANDAKA_STORE_FAULTY_LATE_H

#include "store/store.h"

struct faulty_late;

/* Adds a copy of what would be committed to the end of the list. */
void faulty_late_keep(struct faulty_late **list, const struct ledger_facts *facts);
/* Commits the list's first to the wrapped store. False: the list is empty, *ret_fault alone. */
bool faulty_late_land(struct faulty_late **list, struct store *wrapped,
                      enum store_fault *ret_fault) BASE_MUST_USE;
/* Forgets them all: they never arrived. */
void faulty_late_drop(struct faulty_late **list);

#endif
