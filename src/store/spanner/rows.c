/*
 * Reads. The rows come as one stream of values, cut anywhere: a message's last value may go on in
 * the first of the next. A stream that breaks is asked for again from its last resume token, and
 * what came after that token comes once more.
 */
#include "store/spanner/exchange.h"

#include <stdio.h>
#include <string.h>

/* Attempts of one read. */
#define ATTEMPTS_MAX 4
/* Levels of a value: an array's elements are the deepest that are stored here. */
#define VALUE_DEPTH_MAX 3

/* --- keys --- */

Google__Spanner__V1__KeySet spanner_keys(struct base_arena *arena, size_t capacity)
{
    Google__Spanner__V1__KeySet keys = GOOGLE__SPANNER__V1__KEY_SET__INIT;
    keys.keys = base_arena_take(arena, capacity * sizeof(spanner_list *));
    return keys;
}

void spanner_keys_add(Google__Spanner__V1__KeySet *keys, spanner_list *key)
{
    keys->keys[keys->n_keys++] = key;
}

Google__Spanner__V1__KeySet spanner_keys_from(struct base_arena *arena, spanner_list *from,
                                              bool included, spanner_list *prefix)
{
    Google__Spanner__V1__KeySet keys = GOOGLE__SPANNER__V1__KEY_SET__INIT;
    Google__Spanner__V1__KeyRange *range = base_arena_take(arena, sizeof *range);
    google__spanner__v1__key_range__init(range);
    range->start_key_type_case = included
                                     ? GOOGLE__SPANNER__V1__KEY_RANGE__START_KEY_TYPE_START_CLOSED
                                     : GOOGLE__SPANNER__V1__KEY_RANGE__START_KEY_TYPE_START_OPEN;
    range->start_closed = from;
    range->end_key_type_case = GOOGLE__SPANNER__V1__KEY_RANGE__END_KEY_TYPE_END_CLOSED;
    range->end_closed = prefix;
    keys.n_ranges = 1;
    keys.ranges = base_arena_take(arena, sizeof(Google__Spanner__V1__KeyRange *));
    keys.ranges[0] = range;
    return keys;
}

Google__Spanner__V1__KeySet spanner_keys_all(void)
{
    Google__Spanner__V1__KeySet keys = GOOGLE__SPANNER__V1__KEY_SET__INIT;
    keys.all = 1;
    return keys;
}

/* --- one read --- */

/* What has come so far. What goes on after a resume token is kept as it was there. */
struct progress {
    size_t n_values;
    spanner_value *last; /* the last value, which may be a part; NULL: none */
    bool is_part;        /* it goes on in the next message */
};

struct reading {
    struct spanner_read *read;
    struct base_arena *arena;
    struct spanner_transaction *transaction; /* that it is of; NULL: none */
    size_t capacity;
    spanner_value **values;
    struct progress now;
    struct progress at_token;
    struct base_bytes resume_token;
    const char *broken; /* the stream makes no sense; NULL: it does */
    bool done;
    struct spanner_call call;
    Google__Spanner__V1__ReadRequest request;
};

static spanner_value *join(struct base_arena *arena, const spanner_value *left,
                           const spanner_value *right, int depth);

static spanner_value *join_texts(struct base_arena *arena, const char *left, const char *right)
{
    struct base_text text = base_arena_print(arena, "%s%s", left, right);
    return spanner_text(arena, text);
}

/* The elements one after another; the two that meet are one where they can be. */
static spanner_value *join_lists(struct base_arena *arena, const spanner_list *left,
                                 const spanner_list *right, int depth)
{
    spanner_list *list = base_arena_take(arena, sizeof *list);
    google__protobuf__list_value__init(list);
    list->values =
        base_arena_take(arena, (left->n_values + right->n_values) * sizeof(spanner_value *));
    for (size_t i = 0; i < left->n_values; i++) {
        list->values[list->n_values++] = left->values[i];
    }
    size_t first = 0;
    if (left->n_values > 0 && right->n_values > 0) {
        spanner_value *joined =
            join(arena, left->values[left->n_values - 1], right->values[0], depth + 1);
        if (joined != NULL) {
            list->values[list->n_values - 1] = joined;
            first = 1;
        }
    }
    for (size_t i = first; i < right->n_values; i++) {
        list->values[list->n_values++] = right->values[i];
    }
    spanner_value *value = base_arena_take(arena, sizeof *value);
    google__protobuf__value__init(value);
    value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE;
    value->list_value = list;
    return value;
}

/* The two parts of a value as one; NULL: they are no such parts. */
static spanner_value *join(struct base_arena *arena, const spanner_value *left,
                           const spanner_value *right, int depth)
{
    if (left->kind_case != right->kind_case || depth > VALUE_DEPTH_MAX) {
        return NULL;
    }
    if (left->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE) {
        return join_texts(arena, left->string_value, right->string_value);
    }
    if (left->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE) {
        return join_lists(arena, left->list_value, right->list_value, depth);
    }
    return NULL;
}

static void add_value(struct reading *reading, spanner_value *value)
{
    if (reading->now.n_values == reading->capacity) {
        reading->capacity = reading->capacity > 0 ? 2 * reading->capacity : 64;
        spanner_value **values =
            base_arena_take(reading->arena, reading->capacity * sizeof(spanner_value *));
        if (reading->now.n_values > 0) {
            memcpy(values, reading->values, reading->now.n_values * sizeof(spanner_value *));
        }
        reading->values = values;
    }
    reading->values[reading->now.n_values++] = value;
}

static void take_values(struct reading *reading,
                        const Google__Spanner__V1__PartialResultSet *message)
{
    for (size_t i = 0; i < message->n_values; i++) {
        spanner_value *value = message->values[i];
        if (i == 0 && reading->now.is_part) {
            value = join(reading->arena, reading->now.last, value, 0);
            if (value == NULL) {
                reading->broken = "a value's parts do not go together";
                return;
            }
            reading->values[reading->now.n_values - 1] = value;
        } else {
            add_value(reading, value);
        }
        reading->now.last = value;
    }
    if (message->n_values > 0) {
        reading->now.is_part = message->chunked_value != 0;
    }
    if (message->resume_token.len > 0) {
        reading->resume_token =
            base_arena_bytes(reading->arena, spanner_bytes_of(message->resume_token));
        reading->at_token = reading->now;
    }
}

static void take_message(void *user, struct base_bytes bytes)
{
    struct reading *reading = user;
    const Google__Spanner__V1__PartialResultSet *message =
        spanner_unpack(reading->arena, &google__spanner__v1__partial_result_set__descriptor, bytes);
    if (message == NULL) {
        reading->broken = "a message of the stream cannot be read";
    }
    if (reading->broken != NULL) {
        return;
    }
    struct spanner_transaction *transaction = reading->transaction;
    if (transaction != NULL) {
        const Google__Spanner__V1__Transaction *begun =
            message->metadata != NULL ? message->metadata->transaction : NULL;
        if (begun != NULL && transaction->id.length == 0) {
            transaction->id = spanner_bytes_of(begun->id);
        }
        if (begun != NULL) {
            spanner_transaction_take_token(transaction, reading->arena, begun->precommit_token);
        }
        spanner_transaction_take_token(transaction, reading->arena, message->precommit_token);
    }
    take_values(reading, message);
}

/* --- which moment --- */

struct selector {
    Google__Spanner__V1__TransactionSelector selector;
    Google__Spanner__V1__TransactionOptions options;
    Google__Spanner__V1__TransactionOptions__ReadOnly read_only;
    Google__Spanner__V1__TransactionOptions__ReadWrite read_write;
    Google__Protobuf__Duration staleness;
    Google__Protobuf__Timestamp at;
};

static void select_transaction(struct selector *selector, const struct spanner_moment *moment)
{
    if (moment->transaction->id.length > 0) {
        selector->selector.selector_case = GOOGLE__SPANNER__V1__TRANSACTION_SELECTOR__SELECTOR_ID;
        selector->selector.id = spanner_binary(moment->transaction->id);
        return;
    }
    google__spanner__v1__transaction_options__read_write__init(&selector->read_write);
    selector->read_write.multiplexed_session_previous_transaction_id =
        spanner_binary(moment->previous);
    selector->options.mode_case = GOOGLE__SPANNER__V1__TRANSACTION_OPTIONS__MODE_READ_WRITE;
    selector->options.read_write = &selector->read_write;
    selector->selector.selector_case = GOOGLE__SPANNER__V1__TRANSACTION_SELECTOR__SELECTOR_BEGIN;
    selector->selector.begin = &selector->options;
}

static void select_moment(struct selector *selector, const struct spanner_moment *moment)
{
    google__spanner__v1__transaction_selector__init(&selector->selector);
    google__spanner__v1__transaction_options__init(&selector->options);
    if (moment->which == SPANNER_OF_TRANSACTION) {
        select_transaction(selector, moment);
        return;
    }
    Google__Spanner__V1__TransactionOptions__ReadOnly *read_only = &selector->read_only;
    google__spanner__v1__transaction_options__read_only__init(read_only);
    if (moment->which == SPANNER_AT) {
        selector->at = moment->at;
        read_only->timestamp_bound_case =
            GOOGLE__SPANNER__V1__TRANSACTION_OPTIONS__READ_ONLY__TIMESTAMP_BOUND_READ_TIMESTAMP;
        read_only->read_timestamp = &selector->at;
    } else if (moment->which == SPANNER_NOT_OLDER) {
        google__protobuf__duration__init(&selector->staleness);
        selector->staleness.seconds = moment->staleness_ms / 1000;
        selector->staleness.nanos = (int32_t)(moment->staleness_ms % 1000 * BASE_NS_PER_MS);
        read_only->timestamp_bound_case =
            GOOGLE__SPANNER__V1__TRANSACTION_OPTIONS__READ_ONLY__TIMESTAMP_BOUND_MAX_STALENESS;
        read_only->max_staleness = &selector->staleness;
    } else {
        read_only->timestamp_bound_case =
            GOOGLE__SPANNER__V1__TRANSACTION_OPTIONS__READ_ONLY__TIMESTAMP_BOUND_STRONG;
        read_only->strong = 1;
    }
    selector->options.mode_case = GOOGLE__SPANNER__V1__TRANSACTION_OPTIONS__MODE_READ_ONLY;
    selector->options.read_only = read_only;
    selector->selector.selector_case =
        GOOGLE__SPANNER__V1__TRANSACTION_SELECTOR__SELECTOR_SINGLE_USE;
    selector->selector.single_use = &selector->options;
}

/* --- reads --- */

static void reading_open(struct reading *reading, struct spanner_connection *connection,
                         const struct spanner_moment *moment, struct spanner_read *read)
{
    memset(reading, 0, sizeof *reading);
    reading->read = read;
    reading->arena = read->arena;
    reading->transaction = moment->which == SPANNER_OF_TRANSACTION ? moment->transaction : NULL;
    Google__Spanner__V1__ReadRequest *request = &reading->request;
    google__spanner__v1__read_request__init(request);
    request->session = connection->session;
    request->table = (char *)(uintptr_t)read->table;
    if (read->index != NULL) {
        request->index = (char *)(uintptr_t)read->index;
    }
    request->n_columns = read->n_columns;
    request->columns = (char **)(uintptr_t)read->columns;
    request->key_set = &read->keys;
    request->limit = read->limit;
    request->order_by = read->ordered
                            ? GOOGLE__SPANNER__V1__READ_REQUEST__ORDER_BY__ORDER_BY_PRIMARY_KEY
                            : GOOGLE__SPANNER__V1__READ_REQUEST__ORDER_BY__ORDER_BY_NO_ORDER;
    reading->call = (struct spanner_call){
        .path = "/google.spanner.v1.Spanner/StreamingRead",
        .request = &request->base,
        .route_key = "session",
        .route = base_text_of(connection->session),
        .to_leader = reading->transaction != NULL,
        .take = take_message,
        .user = reading,
        .arena = read->arena,
    };
}

/* Goes back to the last resume token. */
static void reading_rewind(struct reading *reading)
{
    reading->now = reading->at_token;
    if (reading->now.n_values > 0) {
        reading->values[reading->now.n_values - 1] = reading->now.last;
    }
    reading->request.resume_token = spanner_binary(reading->resume_token);
    reading->call.request_number = 0;
}

/* Judges a stream that has ended. False: it did not go well. */
static bool reading_end(struct reading *reading)
{
    struct spanner_read *read = reading->read;
    reading->done = reading->call.status == BASE_CODE_OK;
    if (!reading->done) {
        return false;
    }
    if (reading->broken == NULL &&
        (reading->now.is_part || reading->now.n_values % read->n_columns != 0)) {
        reading->broken = "the stream ended inside a row";
    }
    if (reading->broken != NULL) {
        reading->call.status = SPANNER_DATA_LOSS;
        (void)snprintf(reading->call.message, sizeof reading->call.message, "%s", reading->broken);
        return false;
    }
    read->rows = (struct spanner_rows){.n_columns = read->n_columns,
                                       .n_rows = reading->now.n_values / read->n_columns,
                                       .values = reading->values};
    return true;
}

/* Whether a stream that ended so may be gone on with. */
static bool may_go_on(const struct reading *reading)
{
    int status = reading->call.status;
    return status == BASE_CODE_UNAVAILABLE || status == SPANNER_LOST || status == SPANNER_UNSENT ||
           (status == BASE_CODE_INTERNAL && strstr(reading->call.message, "RST_STREAM") != NULL);
}

/* Whether the one call's failure says more than the other's: an aborted transaction is told, with
 * the longest of the waits that are asked for, and then what cannot be gone on with. */
static bool says_more(const struct reading *one, const struct reading *other)
{
    bool aborted = one->call.status == SPANNER_ABORTED;
    if (aborted != (other->call.status == SPANNER_ABORTED)) {
        return aborted;
    }
    return aborted ? one->call.retry_delay_ms > other->call.retry_delay_ms
                   : !may_go_on(one) && may_go_on(other);
}

/* Runs those that are not done. NULL: they are. Else the one whose failure counts. */
static const struct reading *attempt(struct spanner_connection *connection,
                                     const struct spanner_moment *moment, size_t n,
                                     struct reading *readings, int64_t deadline_mono_ns)
{
    struct selector selector;
    struct spanner_call *calls[SPANNER_READS_MAX];
    size_t n_calls = 0;
    select_moment(&selector, moment);
    for (size_t i = 0; i < n; i++) {
        if (!readings[i].done) {
            readings[i].request.transaction = &selector.selector;
            calls[n_calls++] = &readings[i].call;
        }
    }
    spanner_channel_run(&connection->channel, n_calls, calls, deadline_mono_ns);
    const struct reading *failed = NULL;
    for (size_t i = 0; i < n; i++) {
        if (!readings[i].done && !reading_end(&readings[i]) &&
            (failed == NULL || says_more(&readings[i], failed))) {
            failed = &readings[i];
        }
    }
    return failed;
}

/* Whether the reads are of a transaction whose id is not known. */
static bool is_nameless(const struct spanner_moment *moment)
{
    return moment->which == SPANNER_OF_TRANSACTION && moment->transaction->id.length == 0;
}

bool spanner_read(struct spanner_connection *connection, const struct spanner_moment *moment,
                  size_t n_reads, struct spanner_read *reads, struct spanner_result *ret_result)
{
    base_assert(n_reads >= 1 && n_reads <= SPANNER_READS_MAX);
    struct reading readings[SPANNER_READS_MAX];
    for (size_t i = 0; i < n_reads; i++) {
        reading_open(&readings[i], connection, moment, &reads[i]);
    }
    int64_t deadline_mono_ns = spanner_answer_deadline(connection);
    const struct reading *failed = NULL;
    /* The first read of a transaction gives it its id, which the others wait for. */
    size_t n_first = is_nameless(moment) ? 1 : n_reads;
    for (int tries = 0; tries < ATTEMPTS_MAX; tries++) {
        failed = attempt(connection, moment, n_first, readings, deadline_mono_ns);
        if (failed == NULL && n_first < n_reads) {
            n_first = n_reads;
            failed = attempt(connection, moment, n_reads, readings, deadline_mono_ns);
        }
        if (failed == NULL) {
            return true;
        }
        /* One that breaks before its transaction has a name has perhaps begun one that nobody can
         * end but Spanner; the next attempt begins another. */
        if (!may_go_on(failed)) {
            break;
        }
        for (size_t i = 0; i < n_first; i++) {
            if (!readings[i].done) {
                reading_rewind(&readings[i]);
            }
        }
    }
    *ret_result = spanner_result_of(&failed->call);
    /* Who says so again and again may be on its way out: the next attempt finds another. */
    if (ret_result->status == BASE_CODE_UNAVAILABLE) {
        spanner_channel_close(&connection->channel);
    }
    spanner_session_judge(connection, ret_result);
    return false;
}

bool spanner_read_clock(struct spanner_connection *connection, Google__Protobuf__Timestamp *ret_now,
                        struct spanner_result *ret_result)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    Google__Spanner__V1__TransactionOptions__ReadOnly read_only =
        GOOGLE__SPANNER__V1__TRANSACTION_OPTIONS__READ_ONLY__INIT;
    read_only.timestamp_bound_case =
        GOOGLE__SPANNER__V1__TRANSACTION_OPTIONS__READ_ONLY__TIMESTAMP_BOUND_STRONG;
    read_only.strong = 1;
    read_only.return_read_timestamp = 1;
    Google__Spanner__V1__TransactionOptions options =
        GOOGLE__SPANNER__V1__TRANSACTION_OPTIONS__INIT;
    options.mode_case = GOOGLE__SPANNER__V1__TRANSACTION_OPTIONS__MODE_READ_ONLY;
    options.read_only = &read_only;
    Google__Spanner__V1__BeginTransactionRequest request =
        GOOGLE__SPANNER__V1__BEGIN_TRANSACTION_REQUEST__INIT;
    request.session = connection->session;
    request.options = &options;
    struct spanner_call call = {.path = "/google.spanner.v1.Spanner/BeginTransaction",
                                .request = &request.base,
                                .route_key = "session",
                                .route = base_text_of(connection->session),
                                .arena = &arena};
    spanner_run_one(connection, &call, spanner_answer_deadline(connection), ret_result);
    spanner_session_judge(connection, ret_result);
    const Google__Spanner__V1__Transaction *begun =
        ret_result->status == BASE_CODE_OK
            ? spanner_unpack(&arena, &google__spanner__v1__transaction__descriptor, call.body)
            : NULL;
    bool told = begun != NULL && begun->read_timestamp != NULL;
    if (told) {
        google__protobuf__timestamp__init(ret_now);
        ret_now->seconds = begun->read_timestamp->seconds;
        ret_now->nanos = begun->read_timestamp->nanos;
    } else if (ret_result->status == BASE_CODE_OK) {
        ret_result->status = BASE_CODE_INTERNAL;
        (void)snprintf(ret_result->message, sizeof ret_result->message,
                       "the answer to BeginTransaction names no moment");
    }
    base_arena_release(&arena);
    return told;
}
