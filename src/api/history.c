/* GetTransaction and ListEntries: what has happened. */
#include "api/exchange.h"
#include "api/page_token.h"
#include "zandaka/v1/balance_service.pb-c.h"

#define TRANSACTION_ID_RULE "must be 1 to 64 bytes of printable ASCII (0x21 to 0x7E)"
#define KINDS_RULE "must be at most 64 kinds"
#define OPERATIONS_RULE "must be at most 16 operations"
#define OPERATION_RULE "must be an operation that transactions have"
#define PAGE_SIZE_RULE "must not be negative"
#define PAGE_TOKEN_RULE "must come, unchanged, from an answer to the same account and filters"
static_assert(BASE_ID_MAX_BYTES == 64, "told in a text");
static_assert(BASE_KINDS_MAX == 64, "told in a text");
static_assert(BASE_FILTER_OPERATIONS_MAX == 16, "told in a text");
static_assert(BASE_KINDS_MAX <= 64, "a kind's number is a bit of 64");

/* Bytes of an answer, for the budget: a large transaction, and an entry with a long description, as
 * JSON. */
#define TRANSACTION_BYTES 8192
#define ENTRY_BYTES 1024

/* --- GetTransaction --- */

struct transaction_lookup {
    struct base_text transaction_id;
    bool found;
    struct base_bytes record;
};

bool api_get_transaction_start(struct api_exchange *exchange, const ProtobufCMessage *message)
{
    struct transaction_lookup *lookup = base_arena_take_zeroed(exchange->arena, 1, sizeof *lookup);
    lookup->transaction_id =
        base_text_of(((const Zandaka__V1__GetTransactionRequest *)message)->transaction_id);
    /* The form of an id, as an account's; the service's own ids may be asked for by anybody. */
    if (api_check_account_id(lookup->transaction_id) != NULL) {
        return api_exchange_refuse_field(exchange, BASE_TEXT("transaction_id"),
                                         BASE_TEXT(TRANSACTION_ID_RULE));
    }
    exchange->found = lookup;
    return api_permission_method(exchange) && api_permission_id(exchange, lookup->transaction_id) &&
           api_exchange_read(exchange, TRANSACTION_BYTES);
}

enum store_fault api_get_transaction_read(struct api_exchange *exchange, struct store *store)
{
    struct transaction_lookup *lookup = exchange->found;
    return store_read_transaction(store, lookup->transaction_id, exchange->arena, &lookup->found,
                                  &lookup->record);
}

/* A record is answered whole or not at all (contract 3.4), so one that moves a kind which the
 * caller may not use is refused. */
static bool may_see_record(struct api_exchange *exchange, struct base_bytes record)
{
    struct record_transaction transaction;
    if (exchange->known == NULL || !record_decode(exchange->arena, record, &transaction)) {
        return true;
    }
    for (size_t i = 0; i < transaction.n_legs; i++) {
        if (!api_permission_kind(exchange, transaction.legs[i].kind)) {
            return false;
        }
    }
    return true;
}

void api_get_transaction_answer(struct api_exchange *exchange, struct api_answer *ret_answer)
{
    const struct transaction_lookup *lookup = exchange->found;
    if (!lookup->found) {
        exchange->error.reason = BASE_REASON_TRANSACTION_NOT_FOUND;
    } else if (may_see_record(exchange, lookup->record)) {
        ret_answer->record = lookup->record;
    }
}

/* --- ListEntries --- */

struct entries_walk {
    struct api_entries_filter filter;
    struct store_entries_query query;
    struct store_entries_page page; /* zeros: no entry can match, and the store is not asked */
};

static void take_kinds(struct api_violations *violations,
                       const Zandaka__V1__ListEntriesRequest *request,
                       struct api_entries_filter *filter)
{
    if (request->n_kinds > BASE_KINDS_MAX) {
        api_violations_add(violations, BASE_TEXT("kinds"), BASE_TEXT(KINDS_RULE));
        return;
    }
    for (size_t i = 0; i < request->n_kinds; i++) {
        struct base_text kind = base_text_of(request->kinds[i]);
        const char *wrong = api_check_kind_code(kind);
        if (wrong != NULL) {
            api_violations_add(violations, base_arena_print(violations->arena, "kinds[%zu]", i),
                               base_text_of(wrong));
            continue;
        }
        bool added = api_entries_filter_add_kind(filter, kind);
        base_assert(added);
    }
}

static void take_operations(struct api_violations *violations,
                            const Zandaka__V1__ListEntriesRequest *request,
                            struct api_entries_filter *filter)
{
    if (request->n_operations > BASE_FILTER_OPERATIONS_MAX) {
        api_violations_add(violations, BASE_TEXT("operations"), BASE_TEXT(OPERATIONS_RULE));
        return;
    }
    uint32_t operations = 0;
    for (size_t i = 0; i < request->n_operations; i++) {
        int number = (int)request->operations[i];
        if (number <= ZANDAKA__V1__OPERATION__OPERATION_UNSPECIFIED ||
            number > ZANDAKA__V1__OPERATION__OPERATION_UNFREEZE) {
            api_violations_add(violations,
                               base_arena_print(violations->arena, "operations[%zu]", i),
                               BASE_TEXT(OPERATION_RULE));
            continue;
        }
        operations |= UINT32_C(1) << number;
    }
    if (request->n_operations > 0) {
        filter->operations = operations;
    }
}

/* How many entries a page has at most: a large size is cut, not refused. */
static size_t page_limit(int32_t page_size)
{
    if (page_size == 0) {
        return BASE_PAGE_DEFAULT;
    }
    return page_size > BASE_PAGE_MAX ? BASE_PAGE_MAX : (size_t)page_size;
}

/* The numbers of the filter's kinds, or without a filter of those that the caller may see. One that
 * is not configured has no entries, so it is none. Who may see all is shown all or nothing: also of
 * a kind that another server on the store has begun since, which the store then cannot show. */
static uint64_t kind_numbers(const struct api_exchange *exchange,
                             const struct api_entries_filter *filter)
{
    const struct ledger_kinds *kinds = exchange->api->kinds;
    uint64_t numbers = 0;
    bool shows_all = filter->n_kinds == 0;
    for (size_t i = 0; i < kinds->n_kinds && filter->n_kinds == 0; i++) {
        if (api_permission_shows_kind(exchange, kinds->kinds[i].code)) {
            numbers |= UINT64_C(1) << i;
        } else {
            shows_all = false;
        }
    }
    if (shows_all) {
        return UINT64_MAX;
    }
    for (size_t i = 0; i < filter->n_kinds; i++) {
        int number = ledger_kind_number(kinds, filter->kinds[i]);
        if (number >= 0) {
            numbers |= UINT64_C(1) << number;
        }
    }
    return numbers;
}

/* Reads the request into the walk's filter and its position. */
static void take_walk(struct api_violations *violations,
                      const Zandaka__V1__ListEntriesRequest *request, struct entries_walk *walk)
{
    struct api_entries_filter *filter = &walk->filter;
    filter->account_id = base_text_of(request->account_id);
    filter->operations = UINT32_MAX;
    filter->start_time_us = INT64_MIN;
    filter->end_time_us = INT64_MAX;
    api_validate_account_id(violations, BASE_TEXT("account_id"), filter->account_id);
    take_kinds(violations, request, filter);
    take_operations(violations, request, filter);
    api_validate_time(violations, BASE_TEXT("start_time"), request->start_time,
                      &filter->start_time_us);
    api_validate_time(violations, BASE_TEXT("end_time"), request->end_time, &filter->end_time_us);
    if (request->page_size < 0) {
        api_violations_add(violations, BASE_TEXT("page_size"), BASE_TEXT(PAGE_SIZE_RULE));
    }
    walk->query.below_sequence = INT64_MAX;
    struct base_text token = base_text_of(request->page_token);
    /* Whether a token fits a filter means nothing while the filter itself is wrong. */
    if (violations->n_violations == 0 && token.length > 0 &&
        !api_page_token_read(violations->arena, filter, token, &walk->query.below_sequence)) {
        api_violations_add(violations, BASE_TEXT("page_token"), BASE_TEXT(PAGE_TOKEN_RULE));
    }
}

static bool may_walk(struct api_exchange *exchange, const struct api_entries_filter *filter)
{
    if (!api_permission_method(exchange)) {
        return false;
    }
    for (size_t i = 0; i < filter->n_kinds; i++) {
        if (!api_permission_kind(exchange, filter->kinds[i])) {
            return false;
        }
    }
    return true;
}

bool api_list_entries_start(struct api_exchange *exchange, const ProtobufCMessage *message)
{
    const Zandaka__V1__ListEntriesRequest *request =
        (const Zandaka__V1__ListEntriesRequest *)message;
    struct entries_walk *walk = base_arena_take_zeroed(exchange->arena, 1, sizeof *walk);
    struct api_violations violations =
        api_violations_open(exchange->arena, BASE_VIOLATIONS_MAX_BYTES);
    take_walk(&violations, request, walk);
    if (violations.n_violations > 0) {
        return api_exchange_refuse(exchange, &violations);
    }
    if (!may_walk(exchange, &walk->filter)) {
        return false;
    }
    exchange->found = walk;
    const struct api_entries_filter *filter = &walk->filter;
    walk->query = (struct store_entries_query){
        .account_id = filter->account_id,
        .below_sequence = walk->query.below_sequence,
        .kind_numbers = kind_numbers(exchange, filter),
        .operations = filter->operations,
        .start_time_us = filter->start_time_us,
        .end_time_us = filter->end_time_us,
        .limit = page_limit(request->page_size),
        .scan_limit = BASE_PAGE_SCAN_MAX,
    };
    if (walk->query.kind_numbers == 0 || filter->start_time_us >= filter->end_time_us) {
        return false;
    }
    return api_exchange_read(exchange, walk->query.limit * ENTRY_BYTES);
}

enum store_fault api_list_entries_read(struct api_exchange *exchange, struct store *store)
{
    struct entries_walk *walk = exchange->found;
    return store_read_entries(store, &walk->query, exchange->arena, &walk->page);
}

static Google__Protobuf__Timestamp *timestamp_of(struct base_arena *arena, int64_t time_us)
{
    Google__Protobuf__Timestamp *time = base_arena_take(arena, sizeof *time);
    google__protobuf__timestamp__init(time);
    int64_t micros = time_us % BASE_US_PER_S;
    if (micros < 0) {
        micros += BASE_US_PER_S; /* nanos count forward, also before 1970 */
    }
    time->seconds = (time_us - micros) / BASE_US_PER_S;
    time->nanos = (int32_t)(micros * BASE_NS_PER_US);
    return time;
}

/* The texts of another team's transaction stay its own: its id could be fenced or asked for, its
 * description may say anything. What it did to the balance is told, or the history would not add
 * up. */
static void tell_transaction(struct api_exchange *exchange, const struct ledger_entry *entry,
                             Zandaka__V1__Entry *told)
{
    struct base_arena *arena = exchange->arena;
    if (!api_permission_shows_id(exchange, entry->transaction_id)) {
        return;
    }
    told->transaction_id = (char *)base_arena_text(arena, entry->transaction_id).bytes;
    told->description = (char *)base_arena_text(arena, entry->description).bytes;
    if (api_permission_shows_id(exchange, entry->original_transaction_id)) {
        told->original_transaction_id =
            (char *)base_arena_text(arena, entry->original_transaction_id).bytes;
    }
}

static Zandaka__V1__Entry *entry_message(struct api_exchange *exchange,
                                         const struct ledger_entry *entry)
{
    struct base_arena *arena = exchange->arena;
    Zandaka__V1__Entry *told = base_arena_take(arena, sizeof *told);
    zandaka__v1__entry__init(told);
    told->sequence = entry->sequence;
    told->operation = (Zandaka__V1__Operation)entry->operation;
    told->kind = exchange->api->kind_codes[entry->kind_number];
    told->amount = entry->amount_minor;
    told->balance_after = entry->balance_after_minor;
    told->held_amount = entry->held_amount_minor;
    told->held_after = entry->held_after_minor;
    told->create_time = timestamp_of(arena, entry->create_time_us);
    tell_transaction(exchange, entry, told);
    return told;
}

void api_list_entries_answer(struct api_exchange *exchange, struct api_answer *ret_answer)
{
    const struct entries_walk *walk = exchange->found;
    const struct store_entries_page *page = &walk->page;
    Zandaka__V1__ListEntriesResponse *response = base_arena_take(exchange->arena, sizeof *response);
    zandaka__v1__list_entries_response__init(response);
    response->n_entries = page->n_entries;
    response->entries =
        base_arena_take(exchange->arena, page->n_entries * sizeof(response->entries[0]));
    for (size_t i = 0; i < page->n_entries; i++) {
        response->entries[i] = entry_message(exchange, &page->entries[i]);
    }
    if (page->next_below_sequence != 0) {
        response->next_page_token =
            (char *)api_page_token_make(exchange->arena, &walk->filter, page->next_below_sequence)
                .bytes;
    }
    ret_answer->message = &response->base;
}
