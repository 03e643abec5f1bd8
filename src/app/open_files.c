#include "app/open_files.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

bool app_open_files_allow(unsigned wanted, struct base_arena *arena, unsigned *ret_connections,
                          struct base_text *ret_message)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        *ret_message =
            base_arena_print(arena, "the limit of open files cannot be read: %s", strerror(errno));
        return false;
    }
    rlim_t needed = (rlim_t)wanted + BASE_OTHER_FILES;
    if (limit.rlim_cur < needed) {
        struct rlimit raised = limit;
        raised.rlim_cur = needed < limit.rlim_max ? needed : limit.rlim_max;
        /* What cannot be raised is lived with: there are fewer connections. */
        limit = setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised : limit;
    }
    if (limit.rlim_cur < BASE_OTHER_FILES + BASE_CONNECTIONS_MIN) {
        *ret_message = base_arena_print(
            arena,
            "the process may have %llu files open and a server needs %d: raise the limit "
            "(ulimit -n, or LimitNOFILE=)",
            (unsigned long long)limit.rlim_cur, BASE_OTHER_FILES + BASE_CONNECTIONS_MIN);
        return false;
    }
    if (limit.rlim_cur < needed) {
        *ret_connections = (unsigned)(limit.rlim_cur - BASE_OTHER_FILES);
        base_log(*ret_connections < BASE_CONNECTIONS_FEW ? BASE_LOG_WARNING : BASE_LOG_DEBUG,
                 "the process may have %llu files open, so there is room for %u connections: "
                 "raise the limit (ulimit -n, or LimitNOFILE=) for more",
                 (unsigned long long)limit.rlim_cur, *ret_connections);
    } else {
        *ret_connections = wanted;
    }
    return true;
}
