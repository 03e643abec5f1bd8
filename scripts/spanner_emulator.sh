#!/bin/bash
# Google's emulator of Cloud Spanner, for tests and demonstrations: it lives as long as this
# program's standard input, in memory only, on a free port of 127.0.0.1.
#   scripts/spanner_emulator.sh [FLAG ...]    flags of emulator_main
# Prints `ready HOST:PORT`, then obeys lines:
#   stop    kill    cont    (SIGSTOP, SIGKILL, SIGCONT)
# and answers each with `done` or `failed`. SPANNER_EMULATOR names the binary, else it is the one of
# the package google-cloud-cli-spanner-emulator. Exit status 77: there is none.
set -u
trap '' INT TERM

program=${SPANNER_EMULATOR:-}
[ -n "$program" ] || program=$(dpkg -L google-cloud-cli-spanner-emulator 2>/dev/null |
    grep '/emulator_main$')
if [ ! -x "$program" ]; then
    echo "there is no Spanner emulator here: install google-cloud-cli-spanner-emulator, or name" \
        "its emulator_main in SPANNER_EMULATOR" >&2
    exit 77
fi

log=$(mktemp "${TMPDIR:-/tmp}/zandaka-emulator-XXXXXX")
emulator=0
clean() {
    [ "$emulator" = 0 ] || kill -KILL "$emulator" 2>/dev/null
    rm -f "$log"
}
trap clean EXIT

# Another may take the port between the look and the start, so it is tried again.
started=no
for _ in 1 2 3 4 5; do
    port=$(/usr/bin/python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    "$program" --host_port="127.0.0.1:$port" "$@" </dev/null >"$log" 2>&1 &
    emulator=$!
    for _ in $(seq 300); do
        kill -0 "$emulator" 2>/dev/null || break
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            started=yes
            break 2
        fi
        sleep 0.1
    done
    kill -KILL "$emulator" 2>/dev/null
done
if [ "$started" = no ]; then
    cat "$log" >&2
    exit 1
fi
echo "ready 127.0.0.1:$port"

while read -r command; do
    case "$command" in
    stop) kill -STOP "$emulator" ;;
    cont) kill -CONT "$emulator" ;;
    kill) kill -KILL "$emulator" ;;
    *) false ;;
    esac && echo "done" || echo "failed"
done
