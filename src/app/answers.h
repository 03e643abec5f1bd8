/*
 * What the client verbs tell: answers as lines that a person reads, failures with what to do next,
 * and the exit status that follows from them.
 */
#ifndef ZANDAKA_APP_ANSWERS_H
#define ZANDAKA_APP_ANSWERS_H

#include "api/api.h"
#include "app/app.h"

/* Prints `zandaka VERB: message` with reason, applied and retry on standard error, and gives the
 * exit status. */
int app_answers_failure(const char *verb, const struct api_failure *failure);

/* 3 for what is pointless to repeat as it is, 4 for what is not. */
enum app_exit app_answers_exit(const struct api_failure *failure);

/* How a transaction came to be the answer. */
enum app_occasion { APP_APPLIED_NOW, APP_REPLAYED, APP_LOOKED_UP };

void app_answers_transaction(struct base_arena *arena, const struct record_transaction *transaction,
                             enum app_occasion occasion);
void app_answers_account(struct base_arena *arena, const struct api_account *account);
void app_answers_entries(struct base_arena *arena, size_t n_entries,
                         const struct api_entry *entries);

#endif
