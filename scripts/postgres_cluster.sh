#!/bin/bash
# A PostgreSQL cluster to throw away, for tests and demonstrations: it lives as long as this
# program's standard input, and is removed with it. It listens on a unix socket only.
#   scripts/postgres_cluster.sh [--standby-of DIRECTORY] [NAME=VALUE ...]
# with settings of postgresql.conf; a standby follows the cluster that printed DIRECTORY. Prints `ready DIRECTORY`, where the socket is (user `owner`), then obeys lines:
#   stop fast|immediate     start     promote     kill (all processes of the server, at once)
# and answers each with `done` or `failed`. Exit status 77: there is no PostgreSQL.
set -u
trap '' INT TERM
primary=
if [ "${1:-}" = --standby-of ]; then
    primary=$2
    shift 2
fi

programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
[ -n "$programs" ] || programs=$(dirname "$(command -v initdb || echo /nowhere/initdb)")
if [ ! -x "$programs/initdb" ] || [ ! -x "$programs/pg_ctl" ]; then
    echo "there is no PostgreSQL here: apt-get install postgresql" >&2
    exit 77
fi

# PostgreSQL does not run as root.
as_owner=()
directory=$(mktemp -d "${TMPDIR:-/tmp}/zandaka-postgres-XXXXXX")
if [ "$(id -u)" = 0 ]; then
    owner=postgres
    id "$owner" >/dev/null 2>&1 || owner=nobody
    as_owner=(setpriv --reuid "$owner" --regid "$(id -g "$owner")" --clear-groups)
    chown "$owner" "$directory"
fi
chmod 755 "$directory"
cd "$directory" || exit 1

control() {
    "${as_owner[@]}" "$programs/pg_ctl" -D "$directory/data" "$@" </dev/null >/dev/null 2>&1
}
clean() {
    control stop -m immediate
    rm -rf "$directory"
}
trap clean EXIT

make_data() {
    if [ -n "$primary" ]; then
        "${as_owner[@]}" "$programs/pg_basebackup" -D data -R --checkpoint=fast --no-sync \
            -d "host=$primary user=owner application_name=standby"
    else
        "${as_owner[@]}" "$programs/initdb" -D data -U owner -A trust -E UTF8 --locale=C --no-sync
    fi
}

{
    make_data </dev/null >make.log 2>&1 || { cat make.log >&2; exit 1; }
    {
        echo "listen_addresses = ''"
        echo "unix_socket_directories = '$directory'"
        echo "unix_socket_permissions = 0777"
        # A process that is killed loses nothing that the kernel has.
        echo "fsync = off"
        echo "shared_buffers = 64MB"
        echo "max_connections = 60"
        echo "log_line_prefix = '%m %p '"
        for setting in "$@"; do
            echo "${setting%%=*} = '${setting#*=}'"
        done
    } >>data/postgresql.conf
    control start -w -t 60 -l "$directory/server.log" || { cat server.log >&2; exit 1; }
}
echo "ready $directory"

while read -r command argument; do
    case "$command" in
    stop) control stop -m "$argument" -w -t 60 ;;
    promote) control promote -w -t 60 ;;
    start) control start -w -t 60 -l "$directory/server.log" ;;
    kill)
        server=$(head -n 1 data/postmaster.pid)
        kill -KILL "$server" $(pgrep -P "$server") && while kill -0 "$server" 2>/dev/null; do
            sleep 0.01
        done
        ;;
    *) false ;;
    esac && echo "done" || echo "failed"
done
