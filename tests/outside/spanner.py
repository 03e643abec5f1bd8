"""Google's emulator of Cloud Spanner, and stores in it (scripts/spanner_emulator.sh)."""
import itertools
import os
import pathlib
import subprocess
import sys

from server import BINARY

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "spanner_emulator.sh"
SKIPPED = 77


class Emulator:
    """Lives until close(); servers find it by SPANNER_EMULATOR_HOST. Ends the program as skipped
    where there is none."""

    def __init__(self, *flags):
        self.process = subprocess.Popen([str(SCRIPT), *flags], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        words = self.process.stdout.readline().split()
        if words[:1] != ["ready"]:
            if self.process.wait() == SKIPPED:
                sys.exit(SKIPPED)
            raise RuntimeError("the emulator of Spanner did not start")
        self.numbers = itertools.count()
        self.address = words[1]
        os.environ["SPANNER_EMULATOR_HOST"] = self.address

    def new_url(self):
        """Of a database that is not there."""
        return ("spanner:projects/test-project/instances/test/databases/"
                f"test-{next(self.numbers)}")

    def new_store(self):
        url = self.new_url()
        subprocess.run([BINARY, "schema", "--store", url, "--apply"], check=True,
                       capture_output=True)
        return url

    def command(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if answer != "done":
            raise RuntimeError(f"{command}: {answer}")

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
