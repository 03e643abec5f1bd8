/* What a server is told: flags over environment over file over defaults (docs/cli.md). */
#include "api/api.h"
#include "app/app.h"
#include "app/ini_file.h"
#include "net/net.h"

#include <stdlib.h>

enum key {
    KEY_LISTEN,
    KEY_LAME_DUCK,
    KEY_FORMAT,
    KEY_LEVEL,
    KEY_SLOW,
    KEY_URL,
    KEY_CERTIFICATE,
    KEY_KEY,
    KEY_CLIENT_CA,
    KEY_FILE,
    KEY_MAX_BALANCE,
    KEY_MAX_AMOUNT,
    KEY_WITHDRAWN
};

enum section {
    SECTION_NONE,
    SECTION_SERVER,
    SECTION_STORE,
    SECTION_LOG,
    SECTION_TLS,
    SECTION_CALLERS,
    SECTION_KIND
};

/* The configuration's file in the reading. */
struct config_file {
    struct app_ini_file ini; /* the first, so that a file is one of these */
    struct app_config *config;
    unsigned sections_seen; /* bits of enum section; kinds are told by their codes */
};

static void fail(struct config_file *file, struct base_text what)
{
    app_ini_fail(&file->ini, what);
}

/* --- sections --- */

static void open_kind(struct config_file *file, struct base_text code)
{
    struct ledger_kinds *kinds = &file->config->kinds;
    const char *wrong = api_check_kind_code(code);
    if (wrong != NULL) {
        fail(file,
             base_arena_print(file->ini.arena, "the kind `%.*s`: %s", BASE_TEXT_ARGS(code), wrong));
    } else if (ledger_kind_number(kinds, code) >= 0) {
        fail(file, base_arena_print(file->ini.arena, "the section [kind.%.*s] stands twice",
                                    BASE_TEXT_ARGS(code)));
    } else if (kinds->n_kinds == BASE_KINDS_MAX) {
        fail(file, base_arena_print(file->ini.arena, "more than %d kinds", BASE_KINDS_MAX));
    } else {
        kinds->kinds[kinds->n_kinds++] =
            (struct ledger_kind){.code = base_arena_text(file->ini.arena, code),
                                 .max_balance_minor = INT64_MAX,
                                 .max_amount_minor = BASE_AMOUNT_MAX};
        file->ini.section = SECTION_KIND;
    }
}

static void open_section(struct app_ini_file *ini, struct base_text name)
{
    struct config_file *file = (struct config_file *)ini;
    struct base_text kind = BASE_TEXT("kind.");
    if (base_text_starts_with(name, kind)) {
        open_kind(file, (struct base_text){name.bytes + kind.length, name.length - kind.length});
        return;
    }
    if (base_text_equal(name, BASE_TEXT("server"))) {
        file->ini.section = SECTION_SERVER;
    } else if (base_text_equal(name, BASE_TEXT("log"))) {
        file->ini.section = SECTION_LOG;
    } else if (base_text_equal(name, BASE_TEXT("store"))) {
        file->ini.section = SECTION_STORE;
    } else if (base_text_equal(name, BASE_TEXT("tls"))) {
        file->ini.section = SECTION_TLS;
    } else if (base_text_equal(name, BASE_TEXT("callers"))) {
        file->ini.section = SECTION_CALLERS;
    } else {
        fail(file, base_arena_print(file->ini.arena,
                                    "the section [%.*s] is unknown; there are [server], [store], "
                                    "[log], [tls], [callers] and [kind.CODE]",
                                    BASE_TEXT_ARGS(name)));
        return;
    }
    if ((file->sections_seen & 1u << file->ini.section) != 0) {
        fail(file, base_arena_print(file->ini.arena, "the section [%.*s] stands twice",
                                    BASE_TEXT_ARGS(name)));
    }
    file->sections_seen |= 1u << file->ini.section;
}

/* --- keys --- */

static const struct app_ini_key keys[] = {
    {"lame_duck_ms", SECTION_SERVER, KEY_LAME_DUCK},
    {"format", SECTION_LOG, KEY_FORMAT},
    {"level", SECTION_LOG, KEY_LEVEL},
    {"slow_ms", SECTION_LOG, KEY_SLOW},
    {"listen", SECTION_SERVER, KEY_LISTEN},
    {"url", SECTION_STORE, KEY_URL},
    {"certificate", SECTION_TLS, KEY_CERTIFICATE},
    {"key", SECTION_TLS, KEY_KEY},
    {"client_ca", SECTION_TLS, KEY_CLIENT_CA},
    {"file", SECTION_CALLERS, KEY_FILE},
    {"max_balance", SECTION_KIND, KEY_MAX_BALANCE},
    {"max_amount", SECTION_KIND, KEY_MAX_AMOUNT},
    {"withdrawn", SECTION_KIND, KEY_WITHDRAWN},
};

static void take_limit(struct config_file *file, const char *name, struct base_text value,
                       int64_t min, int64_t max, int64_t *ret_limit)
{
    int64_t limit;
    if (!base_text_to_int64(value, &limit) || limit < min || limit > max) {
        fail(file,
             base_arena_print(file->ini.arena, "%s is %lld to %lld in plain digits, not `%.*s`",
                              name, (long long)min, (long long)max, BASE_TEXT_ARGS(value)));
        return;
    }
    *ret_limit = limit;
}

/* Which of up to four words the value is, from 0; the last ones may be NULL. */
static int take_word(struct config_file *file, const char *name, struct base_text value,
                     const char *first, const char *second, const char *third, const char *fourth)
{
    const char *const words[] = {first, second, third, fourth};
    for (int i = 0; i < 4 && words[i] != NULL; i++) {
        if (base_text_equal(value, base_text_of(words[i]))) {
            return i;
        }
    }
    fail(file, base_arena_print(file->ini.arena, "%s is %s, %s%s%s%s%s, not `%.*s`", name, first,
                                second, third == NULL ? "" : ", ", third == NULL ? "" : third,
                                fourth == NULL ? "" : ", ", fourth == NULL ? "" : fourth,
                                BASE_TEXT_ARGS(value)));
    return 0;
}

/* The kind whose section is being read. */
static struct ledger_kind *current_kind(struct config_file *file)
{
    struct ledger_kinds *kinds = &file->config->kinds;
    base_assert(file->ini.section == SECTION_KIND && kinds->n_kinds > 0);
    return &kinds->kinds[kinds->n_kinds - 1];
}

static void take_value(struct app_ini_file *ini, int key, struct base_text value)
{
    struct config_file *file = (struct config_file *)ini;
    struct base_text host;
    uint16_t port;
    switch ((enum key)key) {
    case KEY_LISTEN:
        /* Checked here too, since here the line is known. */
        if (!net_split_address(value, &host, &port)) {
            fail(file, base_arena_print(file->ini.arena, "listen is HOST:PORT, not `%.*s`",
                                        BASE_TEXT_ARGS(value)));
        }
        file->config->listen = base_arena_text(file->ini.arena, value);
        return;
    case KEY_LAME_DUCK:
        take_limit(file, "lame_duck_ms", value, 0, BASE_LAME_DUCK_MAX_MS,
                   &file->config->lame_duck_ms);
        return;
    case KEY_FORMAT:
        file->config->log_form =
            (enum base_log_form)take_word(file, "format", value, "text", "json", NULL, NULL);
        return;
    case KEY_LEVEL:
        file->config->log_level =
            (enum base_log_level)take_word(file, "level", value, "error", "warn", "info", "debug");
        return;
    case KEY_SLOW:
        take_limit(file, "slow_ms", value, 0, BASE_SLOW_MAX_MS, &file->config->slow_ms);
        return;
    case KEY_URL:
        file->config->store_url = base_arena_text(file->ini.arena, value);
        return;
    case KEY_CERTIFICATE:
        file->config->tls.certificate = base_arena_text(file->ini.arena, value);
        return;
    case KEY_KEY:
        file->config->tls.key = base_arena_text(file->ini.arena, value);
        return;
    case KEY_CLIENT_CA:
        file->config->tls.authority = base_arena_text(file->ini.arena, value);
        return;
    case KEY_FILE:
        file->config->callers_file = base_arena_text(file->ini.arena, value);
        return;
    case KEY_MAX_BALANCE:
        take_limit(file, "max_balance", value, 1, INT64_MAX,
                   &current_kind(file)->max_balance_minor);
        return;
    case KEY_MAX_AMOUNT:
        take_limit(file, "max_amount", value, 1, BASE_AMOUNT_MAX,
                   &current_kind(file)->max_amount_minor);
        return;
    case KEY_WITHDRAWN:
        current_kind(file)->withdrawn = base_text_equal(value, BASE_TEXT("yes"));
        if (!current_kind(file)->withdrawn && !base_text_equal(value, BASE_TEXT("no"))) {
            fail(file, base_arena_print(file->ini.arena, "withdrawn is yes or no, not `%.*s`",
                                        BASE_TEXT_ARGS(value)));
        }
        return;
    }
}

static bool load_file(struct base_arena *arena, const char *path, struct app_config *config,
                      struct base_text *ret_message)
{
    struct config_file file = {.ini = {.path = path,
                                       .arena = arena,
                                       .n_keys = sizeof keys / sizeof keys[0],
                                       .keys = keys,
                                       .open_section = open_section,
                                       .take_value = take_value},
                               .config = config};
    return app_ini_read(&file.ini, ret_message);
}

/* --- all of it --- */

static const char *first_given(const char *flag, const char *environment)
{
    if (flag != NULL) {
        return flag;
    }
    const char *value = getenv(environment);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static void add_default_kinds(struct ledger_kinds *kinds)
{
    static const char *const codes[] = {"points", "money"};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        kinds->kinds[kinds->n_kinds++] = (struct ledger_kind){.code = base_text_of(codes[i]),
                                                              .max_balance_minor = INT64_MAX,
                                                              .max_amount_minor = BASE_AMOUNT_MAX};
    }
}

/* Whether the server can tell who calls it. */
static bool knows_callers(const struct app_config *config)
{
    return config->callers_file.length > 0 || config->tls.authority.length > 0;
}

/* Beyond loopback, what is not encrypted can be read and changed on its way, and without
 * authentication whoever reaches the port may move money. */
static bool check_exposure(struct base_arena *arena, const struct app_config *config,
                           struct base_text *ret_message)
{
    const char *missing = NULL;
    if (config->tls.certificate.length == 0) {
        missing = "it has no TLS: configure certificate and key in [tls]";
    } else if (!knows_callers(config)) {
        missing = "it cannot tell who calls: configure file in [callers], or client_ca in [tls]";
    }
    if (missing == NULL || net_is_loopback(config->listen)) {
        return true;
    }
    *ret_message = base_arena_print(arena,
                                    "will not listen on %.*s, which others can reach, because %s, "
                                    "or listen on a loopback address, such as " APP_DEFAULT_LISTEN,
                                    BASE_TEXT_ARGS(config->listen), missing);
    return false;
}

static bool check_tls(struct base_arena *arena, struct app_config *config,
                      struct base_text *ret_message)
{
    struct net_tls_files *tls = &config->tls;
    if (tls->certificate.length == 0 && tls->key.length == 0 && tls->authority.length == 0) {
        return true;
    }
    if (tls->certificate.length == 0 || tls->key.length == 0) {
        *ret_message = base_arena_print(arena, "[tls] needs both certificate and key");
        return false;
    }
    /* Where callers are configured each call says who it is, by a certificate or by a token. */
    tls->peer_required = tls->authority.length > 0 && config->callers_file.length == 0;
    return net_tls_check(tls, arena, ret_message);
}

static bool check_listen(struct base_arena *arena, struct base_text listen,
                         struct base_text *ret_message)
{
    struct base_text host;
    uint16_t port;
    if (!net_split_address(listen, &host, &port)) {
        *ret_message = base_arena_print(
            arena, "cannot listen on `%.*s`: it is not HOST:PORT, such as " APP_DEFAULT_LISTEN,
            BASE_TEXT_ARGS(listen));
        return false;
    }
    return true;
}

bool app_config_load(struct base_arena *arena, const struct app_config_flags *flags,
                     struct app_config *ret_config, struct base_text *ret_message)
{
    struct app_config config = {.listen = BASE_TEXT(APP_DEFAULT_LISTEN),
                                .store_url = BASE_TEXT(APP_DEFAULT_STORE),
                                .lame_duck_ms = BASE_LAME_DUCK_DEFAULT_MS,
                                .slow_ms = BASE_SLOW_DEFAULT_MS,
                                .log_level = BASE_LOG_INFO};
    const char *path = first_given(flags->config_file, "ZANDAKA_CONFIG");
    if (path != NULL && !load_file(arena, path, &config, ret_message)) {
        return false;
    }
    const char *listen = first_given(flags->listen, "ZANDAKA_LISTEN");
    if (listen != NULL) {
        config.listen = base_arena_text(arena, base_text_of(listen));
    }
    const char *store_url = first_given(flags->store_url, "ZANDAKA_STORE");
    if (store_url != NULL) {
        config.store_url = base_arena_text(arena, base_text_of(store_url));
    }
    if (flags->address_file != NULL) {
        config.address_file = base_arena_text(arena, base_text_of(flags->address_file));
    }
    if (config.kinds.n_kinds == 0) {
        add_default_kinds(&config.kinds);
    }
    if (!check_listen(arena, config.listen, ret_message) ||
        !check_tls(arena, &config, ret_message) || !check_exposure(arena, &config, ret_message) ||
        !app_store_check_url(config.store_url, arena, ret_message)) {
        return false;
    }
    if (config.callers_file.length > 0 &&
        !app_callers_load(arena, config.callers_file.bytes, &config.kinds, &config.callers,
                          ret_message)) {
        return false;
    }
    *ret_config = config;
    return true;
}
