/*
 * Every statement that the store runs, but for those of the schema. They insert, update and read;
 * none deletes. For the files of this folder only.
 */
#ifndef ZANDAKA_STORE_POSTGRES_STATEMENTS_H
#define ZANDAKA_STORE_POSTGRES_STATEMENTS_H

#include <stddef.h>

#define POSTGRES_PARAMETERS_MAX 10

/* A statement that each connection prepares under its name; parameters and results are binary. */
struct postgres_statement {
    const char *name;
    const char *text;
    int n_parameters;
    unsigned types[POSTGRES_PARAMETERS_MAX];
};

enum postgres_statement_number {
    POSTGRES_BEGIN,
    POSTGRES_COMMIT,
    POSTGRES_ROLLBACK,
    /* The first round trip of a batch. */
    POSTGRES_ADD_ACCOUNTS,      /* account ids */
    POSTGRES_LOCK_ACCOUNTS,     /* account ids -> id, version, last time */
    POSTGRES_LOAD_BALANCES,     /* account ids -> id, kind, available, held */
    POSTGRES_LOAD_TRANSACTIONS, /* ids -> id, record, mark */
    /* The second. */
    POSTGRES_INSERT_TRANSACTIONS, /* ids, places in the batch, records, callers; base, mark */
    POSTGRES_INSERT_ENTRIES,      /* the columns */
    POSTGRES_WRITE_BALANCES,      /* account ids, kinds, available, held */
    POSTGRES_UPDATE_BALANCES,     /* the same, of those that have a row */
    POSTGRES_UPDATE_ACCOUNTS,     /* account ids, versions, last times */
    /* Of a batch that has neither accounts nor anything new. */
    POSTGRES_CONFIRM,
    POSTGRES_WRITING_END,
    /* Reads. */
    POSTGRES_READ_STORE = POSTGRES_WRITING_END, /* -> version, base, read-only, kinds */
    POSTGRES_READ_KINDS,                        /* -> number, code */
    POSTGRES_ADD_KIND,                          /* code */
    POSTGRES_READ_JOURNAL_END,                  /* -> last position, next transaction number */
    POSTGRES_READ_TRANSACTION,                  /* id -> record, caller */
    POSTGRES_READ_POSITION,                     /* position -> record */
    POSTGRES_READ_ACCOUNTS, /* ids -> id, version, last time, kind, available, held */
    POSTGRES_READ_ENTRIES,  /* see reads.c */
    POSTGRES_STATEMENT_COUNT
};

extern const struct postgres_statement postgres_statements[POSTGRES_STATEMENT_COUNT];

#endif
