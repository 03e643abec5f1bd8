/* Whom a URL names: `spanner:projects/P/instances/I/databases/D`. */
#include "store/spanner/database.h"

#include <string.h>
#include <sys/random.h>

/* Google's service. */
#define SERVICE BASE_TEXT("spanner.googleapis.com:443")
/* Bytes of a project's, an instance's or a database's name. */
#define NAME_MAX_BYTES 128
#define STALENESS_KEY BASE_TEXT("max_staleness_ms=")

static const char form[] =
    "`spanner:` needs a database: `spanner:projects/PROJECT/instances/INSTANCE/databases/DATABASE`";

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == ':';
}

/* Takes `key/NAME` from the front of the text, and a `/` behind it. False: it is not there. */
static bool take_name(struct base_text *rest, struct base_text key)
{
    if (!base_text_starts_with(*rest, key)) {
        return false;
    }
    size_t length = key.length;
    while (length < rest->length && is_plain(rest->bytes[length])) {
        length++;
    }
    size_t name_length = length - key.length;
    rest->bytes += length;
    rest->length -= length;
    return name_length > 0 && name_length <= NAME_MAX_BYTES;
}

static bool read_staleness(struct base_text option, int64_t *ret_staleness_ms)
{
    if (!base_text_starts_with(option, STALENESS_KEY)) {
        return false;
    }
    struct base_text number = {option.bytes + STALENESS_KEY.length,
                               option.length - STALENESS_KEY.length};
    int64_t value;
    if (!base_text_to_int64(number, &value) || value < 0 || value > BASE_SPANNER_STALENESS_MAX_MS) {
        return false;
    }
    *ret_staleness_ms = value;
    return true;
}

/* Reads the URL. False: *ret_message says why it names nothing. */
static bool read_url(struct base_text url, struct base_text emulator, struct base_arena *arena,
                     struct spanner_target *ret_target, int64_t *ret_staleness_ms,
                     struct base_text *ret_message)
{
    struct base_text rest = url;
    struct base_text scheme = BASE_TEXT("spanner:");
    *ret_message = base_text_of(form);
    if (!base_text_starts_with(url, scheme)) {
        return false;
    }
    rest.bytes += scheme.length;
    rest.length -= scheme.length;
    const char *start = rest.bytes;
    if (!take_name(&rest, BASE_TEXT("projects/")) || !take_name(&rest, BASE_TEXT("/instances/"))) {
        return false;
    }
    struct base_text instance = {start, (size_t)(rest.bytes - start)};
    if (!take_name(&rest, BASE_TEXT("/databases/"))) {
        return false;
    }
    struct base_text database = {start, (size_t)(rest.bytes - start)};
    int64_t staleness_ms = 0;
    if (rest.length > 0) {
        struct base_text option = {rest.bytes + 1, rest.length - 1};
        if (rest.bytes[0] != '?') {
            return false;
        }
        if (!read_staleness(option, &staleness_ms)) {
            *ret_message = BASE_TEXT("behind the database there may be `?max_staleness_ms=N` with "
                                     "N from 0 to 3600000, and nothing else");
            return false;
        }
    }
    uint64_t process_id;
    if (getrandom(&process_id, sizeof process_id, 0) != sizeof process_id) {
        base_stop("the system gives no random numbers");
    }
    *ret_target = (struct spanner_target){
        .address = base_arena_text(arena, emulator.length > 0 ? emulator : SERVICE),
        .emulator = emulator.length > 0,
        .instance = base_arena_text(arena, instance),
        .database = base_arena_text(arena, database),
        .process_id = process_id,
    };
    *ret_staleness_ms = staleness_ms;
    return true;
}
static_assert(BASE_SPANNER_STALENESS_MAX_MS == 3600000, "the message must name the limit");

bool spanner_target_open(struct base_text url, struct base_text emulator, struct base_arena *arena,
                         struct spanner_target *ret_target, int64_t *ret_staleness_ms,
                         struct base_text *ret_message)
{
    if (!read_url(url, emulator, arena, ret_target, ret_staleness_ms, ret_message)) {
        return false;
    }
    struct spanner_credentials_options options = spanner_credentials_environment();
    options.emulator_host = ret_target->emulator ? ret_target->address.bytes : NULL;
    ret_target->credentials = spanner_credentials_open(&options, arena, ret_message);
    return ret_target->credentials != NULL;
}

void spanner_target_close(struct spanner_target *target)
{
    spanner_credentials_release(target->credentials);
}

bool store_spanner_check_url(struct base_text url, struct base_text *ret_message)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct spanner_target target;
    int64_t staleness_ms;
    bool sound = read_url(url, BASE_TEXT(""), &arena, &target, &staleness_ms, ret_message);
    base_arena_release(&arena);
    return sound;
}
