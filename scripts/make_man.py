#!/usr/bin/env python3
"""zandaka(1) from what the program says of itself: scripts/make_man.py BINARY > deploy/man/zandaka.1"""
import re
import subprocess
import sys

HEAD = r""".TH ZANDAKA 1 2026-11-25 zandaka "User commands"
.SH NAME
zandaka \- a balance service that never moves the same money twice
.SH SYNOPSIS
.B zandaka
.I VERB
.RI [ FLAG ...]
.SH DESCRIPTION
zandaka keeps balances of accounts, points or money, and speaks gRPC and JSON on one port.
Its verbs are the server, a command line for it, and what an operator needs.
Transaction ids are chosen by whoever calls: every repeat of one gets the same answer.
.SH VERBS
"""
TAIL = r""".SH EXIT STATUS
.TP
.B 0
Done, also when it was a replay.
.TP
.B 1
Could not: the port is taken, the store is in use or not sound, the disk.
.TP
.B 2
Usage, configuration, or input that cannot be read.
.TP
.B 3
Refused, and pointless to repeat as it is.
.TP
.B 4
Try the same again.
.SH ENVIRONMENT
ZANDAKA_CONFIG, ZANDAKA_LISTEN, ZANDAKA_STORE, ZANDAKA_SERVER and ZANDAKA_TOKEN_FILE stand in for the
flags of those names.
NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are systemd's.
.SH SIGNALS
SIGTERM and SIGINT end the server: it answers what is under way, closes the store and exits with 0.
SIGHUP has certificates and callers read again.
.SH FILES
.TP
.I /etc/zandaka/zandaka.conf
The configuration of the unit for systemd.
.TP
.I /var/lib/zandaka
Its store.
.SH SEE ALSO
.BR zandaka.conf (5)
"""


def run(*arguments):
    return subprocess.run([sys.argv[1], *arguments], capture_output=True, text=True,
                          check=True).stdout


def roff(text):
    """Plain text as roff has it, no line of which is a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return re.sub(r"(?m)^([.'])", r"\\&\1", text)


def verb_section(verb):
    usage, description, flags = run(verb, "--help").split("\n\n")
    operands = usage.removeprefix(f"usage: zandaka {verb}").strip()
    lines = [f".SS {verb}", f".B zandaka {verb}", roff(operands), ".PP", roff(description)]
    for flag, told in re.findall(r"(?m)^  (--\S+(?: \S+)?) +(\S.*)$", flags):
        lines += [".TP", f".B {roff(flag)}", roff(told)]
    return "\n".join(lines) + "\n"


def main():
    verbs = re.findall(r"(?m)^  (\w+) {2,}", run("--help"))
    sys.stdout.write(HEAD + "".join(verb_section(verb) for verb in verbs) + TAIL)


if __name__ == "__main__":
    main()
