#include "service/lines.h"

/* Connections are numbered by the server one after the other, callers by a hash of their configured
 * names: a multiplication spreads both, and nobody outside can choose numbers that meet in one
 * bucket. */
static size_t bucket_of(uint64_t caller)
{
    uint64_t spread = caller * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)((spread >> 32) % SERVICE_LINES_MAX);
}

static struct service_line *find_line(const struct service_lines *lines, uint64_t caller)
{
    struct service_line *line = lines->buckets[bucket_of(caller)];
    while (line != NULL && line->caller != caller) {
        line = line->next_in_bucket;
    }
    return line;
}

static void put_last_in_turn(struct service_lines *lines, struct service_line *line)
{
    line->next_in_turn = NULL;
    if (lines->first_in_turn == NULL) {
        lines->first_in_turn = line;
    } else {
        lines->last_in_turn->next_in_turn = line;
    }
    lines->last_in_turn = line;
}

static struct service_line *open_line(struct service_lines *lines, uint64_t caller)
{
    struct service_line *line = lines->spare;
    if (line != NULL) {
        lines->spare = line->next_in_bucket;
    } else {
        /* Every line holds an element, and the elements are bounded. */
        base_assert(lines->n_made < SERVICE_LINES_MAX);
        line = &lines->lines[lines->n_made++];
    }
    struct service_line **bucket = &lines->buckets[bucket_of(caller)];
    *line = (struct service_line){.caller = caller, .next_in_bucket = *bucket};
    *bucket = line;
    put_last_in_turn(lines, line);
    return line;
}

static void close_line(struct service_lines *lines, struct service_line *line)
{
    struct service_line **link = &lines->buckets[bucket_of(line->caller)];
    while (*link != line) {
        link = &(*link)->next_in_bucket;
    }
    *link = line->next_in_bucket;
    line->next_in_bucket = lines->spare;
    lines->spare = line;
}

size_t service_lines_held(const struct service_lines *lines, uint64_t caller)
{
    const struct service_line *line = find_line(lines, caller);
    return line != NULL ? line->held : 0;
}

void service_lines_push(struct service_lines *lines, uint64_t caller, size_t weight,
                        struct service_link *element)
{
    struct service_line *line = find_line(lines, caller);
    if (line == NULL) {
        line = open_line(lines, caller);
    }
    element->next = NULL;
    if (line->first == NULL) {
        line->first = element;
    } else {
        line->last->next = element;
    }
    line->last = element;
    line->held += weight;
}

struct service_link *service_lines_first(const struct service_lines *lines)
{
    return lines->first_in_turn != NULL ? lines->first_in_turn->first : NULL;
}

void service_lines_take(struct service_lines *lines, size_t weight)
{
    struct service_line *line = lines->first_in_turn;
    struct service_link *element = line->first;
    lines->first_in_turn = line->next_in_turn;
    line->first = element->next;
    line->held -= weight;
    if (line->first != NULL) {
        put_last_in_turn(lines, line);
    } else {
        close_line(lines, line);
    }
    element->next = NULL;
}
