/*
 * Assertions for bugs of ours, never for data from outside. They are on in production: a balance
 * service that has lost its footing must stop before it writes.
 */
#ifndef ZANDAKA_BASE_ASSERT_H
#define ZANDAKA_BASE_ASSERT_H

/* Stops the process with the place and the condition on standard error. */
#define base_assert(condition)                                                                     \
    ((condition) ? (void)0 : base_assert_failed(#condition, __FILE__, __LINE__))

_Noreturn void base_assert_failed(const char *condition, const char *file, int line);

#endif
