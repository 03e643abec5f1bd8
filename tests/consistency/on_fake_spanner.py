#!/usr/bin/python3
"""Consistency from outside with two servers on the FAKE of Cloud Spanner, which lives as long as
this program and fails in every way that it knows, by a seed: multiplexed sessions, aborted
transactions, lost answers, broken streams, dropped sessions.

    on_fake_spanner.py BUILD [flags of main.go ...]

ZANDAKA_FAKE_RATE is the share of calls that get each fault (0.005), ZANDAKA_FAKE_SEED the seed (1).
"""
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
FAKE = HERE.parent / "store/fake_spanner"
STORE = "spanner:projects/p/instances/i/databases/consistency"
sys.path.insert(0, str(FAKE))
from faults import BY_METHOD, WITH_TOKENS  # noqa: E402


class Fake:
    def __init__(self):
        self.process = subprocess.Popen(
            ["/usr/bin/python3", FAKE, HERE.parents[1] / "proto"], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        words = self.process.stdout.readline().split()
        if not words:
            sys.exit(self.process.wait() or 1)
        self.address = words[1]

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    fake = Fake()
    os.environ["SPANNER_EMULATOR_HOST"] = fake.address
    try:
        subprocess.run([build / "zandaka", "schema", "--store", STORE, "--apply"], check=True)
        fake.ask(f"seed {os.environ.get('ZANDAKA_FAKE_SEED', '1')}")
        for method, faults in BY_METHOD.items():
            for fault in set(faults) - set(WITH_TOKENS):
                fake.ask(f"rate {method} {fault} {os.environ.get('ZANDAKA_FAKE_RATE', '0.005')}")
        done = subprocess.run([HERE / "run.sh", build, "-store", STORE, "-servers", "2",
                               *sys.argv[2:]])
        n_faults, n_violations = int(fake.ask("count faults")), int(fake.ask("count violations"))
        print(f"the fake: {fake.ask('count calls Commit')} commits, {n_faults} faults, "
              f"{n_violations} broken rules")
    finally:
        fake.close()
    if done.returncode == 0 and (n_faults == 0 or n_violations != 0):
        return 1
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
