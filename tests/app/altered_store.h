/*
 * A store that shows another with one thing altered on its way: what a broken disk or a bug would
 * make of it.
 */
#ifndef ZANDAKA_TESTS_APP_ALTERED_STORE_H
#define ZANDAKA_TESTS_APP_ALTERED_STORE_H

#include "store/store.h"

enum alteration_place {
    ALTER_ROW,              /* of a walk: `alter` changes it */
    ALTER_DROP,             /* the row is left out */
    ALTER_REPEAT,           /* the row comes twice */
    ALTER_INSERT,           /* before the row comes another, which `alter` makes of nothing */
    ALTER_WALK_FAULT,       /* instead of the row comes `fault` */
    ALTER_JOURNAL,          /* the record at position `row`; without `alter` it is missing */
    ALTER_JOURNAL_FAULT,    /* the read of the journal at position `row` gives `fault` */
    ALTER_TRANSACTION,      /* the record under the id; without `alter` it is missing */
    ALTER_TRANSACTION_FAULT /* the read of the id gives `fault` */
};

#define ALTER_EVERY_ROW SIZE_MAX

struct alteration {
    enum alteration_place place;
    enum store_table table;     /* of a walk */
    size_t row;                 /* of the walk, from 0, or ALTER_EVERY_ROW; a position */
    const char *transaction_id; /* for the reads by id */
    enum store_fault fault;
    bool journal_may_have_holes; /* the store says so, as if it were a shared database */
    /* What the row points to may be changed too; new memory comes from the arena. */
    void (*alter)(struct base_arena *arena, struct store_row *row);
};

/* The function `name`, which does the statements behind it to the row. */
#define ALTER(name, ...)                                                                           \
    static void name(struct base_arena *arena, struct store_row *row)                              \
    {                                                                                              \
        (void)arena;                                                                               \
        __VA_ARGS__;                                                                               \
    }

/* A place of a walk. */
#define WALK(place_, table_, row_, alter_)                                                         \
    {                                                                                              \
        .place = (place_), .table = STORE_TABLE_##table_, .row = (row_), .alter = (alter_)         \
    }

/* Owns `wrapped`; `alteration` must outlive it. */
struct store *altered_store_open(struct store *wrapped, const struct alteration *alteration);

#endif
