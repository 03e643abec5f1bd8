/*
 * zandaka copy. The target can be opened by nobody else until it is whole: half a store would call
 * an id new that had succeeded, and let it succeed again (contract 3.2). Before that, both are read
 * once more from the beginning and compared: the source by a new opening, so that one which is
 * still being written to is found out.
 */
#include "app/copy.h"
#include "app/options.h"

/* The source's kinds, which both stores are given: without limits, which no copying asks for. */
static struct ledger_kinds kinds_of(const struct store *store, struct base_arena *arena)
{
    struct ledger_kinds kinds = *store_kinds(store);
    for (size_t i = 0; i < kinds.n_kinds; i++) {
        kinds.kinds[i].code = base_arena_text(arena, kinds.kinds[i].code);
    }
    return kinds;
}

static bool same_kinds(const struct ledger_kinds *a, const struct ledger_kinds *b)
{
    bool same = a->n_kinds == b->n_kinds;
    for (size_t i = 0; same && i < a->n_kinds; i++) {
        same = base_text_equal(a->kinds[i].code, b->kinds[i].code);
    }
    return same;
}

static enum app_exit failed(const char *what, struct base_text message)
{
    (void)fprintf(stderr, "zandaka copy: %s%.*s\n", what, BASE_TEXT_ARGS(message));
    return APP_EXIT_COULD_NOT;
}

/* Compares all of both, and then ends the copying. */
static enum app_exit end_copy(struct copy *done, struct store *again,
                              const struct ledger_kinds *kinds)
{
    struct copy check = {.from = again,
                         .to = done->to,
                         .err = done->err,
                         .only_compares = true,
                         .arena = done->arena};
    if (!same_kinds(store_kinds(again), kinds)) {
        return failed("the source: ", BASE_TEXT("it has new kinds: servers still write to it"));
    }
    if (!copy_all(&check)) {
        return failed("", check.message);
    }
    if (store_copy_end(done->to) != STORE_OK) {
        return failed("the target: ", BASE_TEXT("it could not be made a store: run the same again, "
                                                "which goes on where it was"));
    }
    (void)printf("copied: %llu transactions, %llu entries, %llu accounts\n",
                 (unsigned long long)check.n_rows[STORE_TABLE_JOURNAL],
                 (unsigned long long)check.n_rows[STORE_TABLE_ENTRIES],
                 (unsigned long long)check.n_rows[STORE_TABLE_ACCOUNTS]);
    return APP_EXIT_DONE;
}

static enum app_exit copy_into(struct store *from, struct base_text from_url, struct store *to,
                               const struct ledger_kinds *kinds, struct base_arena *arena)
{
    struct copy copy = {.from = from, .to = to, .err = stderr, .arena = arena};
    if (!copy_all(&copy)) {
        return failed("", copy.message);
    }
    struct base_text message;
    enum app_exit status = APP_EXIT_COULD_NOT;
    struct store *again = app_store_open(from_url, NULL, arena, &message, &status);
    if (again == NULL) {
        return failed("the source: ", message);
    }
    status = end_copy(&copy, again, kinds);
    store_close(again);
    return status;
}

static enum app_exit copy_stores(struct base_text from_url, struct base_text to_url,
                                 struct base_arena *arena)
{
    struct base_text message;
    enum app_exit status = APP_EXIT_COULD_NOT;
    struct store *from = app_store_open(from_url, NULL, arena, &message, &status);
    if (from == NULL) {
        (void)failed("the source: ", message);
        return status;
    }
    struct ledger_kinds kinds = kinds_of(from, arena);
    struct store *to = app_store_open_copy(to_url, &kinds, arena, &message, &status);
    if (to == NULL) {
        (void)failed("the target: ", message);
    } else {
        status = copy_into(from, from_url, to, &kinds, arena);
        store_close(to);
    }
    store_close(from);
    return status;
}

int app_verb_copy(int argc, char **argv)
{
    const char *from = NULL;
    const char *to = NULL;
    const struct app_flag flags[] = {
        {"from", "URL", &from, NULL, "the store to copy, which no server has open"},
        {"to", "URL", &to, NULL, "an empty store, or this copy where it was interrupted"},
    };
    const struct app_verb_usage usage = {
        "copy", "",
        "Copies a stopped store into an empty one, of any backend, as it is: every record\n"
        "byte for byte, all histories, balances and fences. Interrupted, the same again goes\n"
        "on where it was; until it has ended, nothing can be served or read from the target.\n"
        "Exit status: 0 copied and compared; 1 not, or not wholly; 2 usage.",
        sizeof flags / sizeof flags[0], flags};
    int first_operand;
    int status;
    if (!app_options_parse(argc, argv, &usage, &first_operand, &status)) {
        return status;
    }
    if (from == NULL || to == NULL) {
        return app_options_wrong(&usage, "--%s is missing", from == NULL ? "from" : "to");
    }
    struct base_arena arena = BASE_ARENA_EMPTY;
    status = (int)copy_stores(base_text_of(from), base_text_of(to), &arena);
    base_arena_release(&arena);
    return status;
}
