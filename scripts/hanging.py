"""Waits for a test that may hang, and is not misled by a machine that has other things to do."""
import os
import pathlib
import signal
import subprocess
import time

ASLEEP_S = 10  # a group of processes that does nothing for so long waits for what never comes
NEXT_TO_NOTHING_S = 0.05  # of a second of processor: timers that go off
PATIENCE_S = 600
END_S = 10
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def group_state(group: int) -> tuple[float, bool]:
    """The seconds of processor that the processes of the group have used, and whether one wants more."""
    seconds, awake = 0.0, False
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[2]) != group:
                continue
            # Its own, and what it has waited for of its children.
            seconds += sum(map(int, fields[11:15])) / TICKS_A_SECOND
            for task in stat.parent.glob("task/[0-9]*/stat"):
                awake |= task.read_text().rpartition(")")[2].split()[0] in "RD"
        except OSError:  # it ended meanwhile
            continue
    return seconds, awake


def end_group(group: int) -> None:
    """Ends what a leader that is gone has left behind, and gives it time to do so in its own way: a
    database that a test has begun ends when the test does, and clears up."""
    for _ in range(END_S * 10):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


def wait(process: subprocess.Popen, limit_s: float) -> int | None:
    """The exit status of the leader of a group of processes, or None: it hangs, or runs in circles."""
    try:
        return process.wait(limit_s)
    except subprocess.TimeoutExpired:
        pass
    used_s, asleep_s = group_state(process.pid)[0], 0
    for _ in range(PATIENCE_S):
        if used_s >= limit_s or asleep_s == ASLEEP_S:
            break
        try:
            return process.wait(1)
        except subprocess.TimeoutExpired:
            before_s = used_s
            used_s, awake = group_state(process.pid)
            busy = awake or used_s > before_s + NEXT_TO_NOTHING_S
            asleep_s = 0 if busy else asleep_s + 1
    return None
