/*
 * Scripts of steps and what must come of them, a step a line:
 *
 *   kind points max_balance=1000 max_amount=500 withdrawn     configures a kind, or changes it
 *   time 500                                                  what the clock says, in microseconds
 *   given alice money=5 held:money=7                          what an account has, come from
 * nowhere add t1 alice points=100 money=5 description=x @key=value -> applied consume t2 alice
 * points=40 -> INSUFFICIENT_BALANCE points the kind that is named consume t1 alice points=40 ->
 * TRANSACTION_ID_REUSED operation,amounts cancel t1 -> TRANSACTION_SUCCEEDED balance alice
 * points=60 money=5                           must be so history alice 2 so long record t1 add
 * alice points=100 money=5 at 500             what is recorded, legs in order
 *
 * Besides what is written, every step shows: a refusal or a replay leaves the whole working set as
 * it was, and a replay is answered with the bytes of the first answer.
 */
#ifndef ZANDAKA_TESTS_LEDGER_STEPS_H
#define ZANDAKA_TESTS_LEDGER_STEPS_H

#include <stddef.h>

/* Runs the script twice: with every command as a batch of its own, and with all commands between
 * two other lines as one batch. It must not matter. Two kinds without limits are there from the
 * start: points and money. */
void steps_run(size_t n_lines, const char *const *lines);

#define STEPS_RUN(lines) steps_run(sizeof(lines) / sizeof(lines)[0], lines)

#endif
