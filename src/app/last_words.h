/*
 * What the process says when it is ended from within without a word of ours: RocksDB aborts when
 * its memory runs out or its disk is full, and libraries may not look at what malloc gives them. An
 * operator who reads the log must not have to guess whether a stop like that did harm.
 */
#ifndef ZANDAKA_APP_LAST_WORDS_H
#define ZANDAKA_APP_LAST_WORDS_H

/* From now on SIGABRT, SIGSEGV, SIGBUS, SIGFPE and SIGILL write one line to standard error, and
 * then do what they do: end the process, with a core where cores are kept. A signal that something
 * else has taken, such as a sanitizer, is left to it. */
void app_last_words_prepare(void);

#endif
