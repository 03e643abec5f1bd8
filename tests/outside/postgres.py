"""A PostgreSQL cluster to throw away, and stores in it (scripts/postgres_cluster.sh)."""
import itertools
import pathlib
import subprocess
import sys

from server import BINARY

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "postgres_cluster.sh"
SKIPPED = 77
# What a server may do, and no more (docs/postgres.md).
GRANTS = """
GRANT USAGE ON SCHEMA zandaka TO server;
GRANT SELECT ON ALL TABLES IN SCHEMA zandaka TO server;
GRANT INSERT ON zandaka.kinds, zandaka.transactions, zandaka.accounts, zandaka.balances,
    zandaka.entries TO server;
GRANT UPDATE ON zandaka.accounts, zandaka.balances TO server;
"""


class Cluster:
    """Lives until close(). Ends the program as skipped where there is no PostgreSQL."""

    def __init__(self, *settings, standby_of=None):
        following = ["--standby-of", standby_of.directory] if standby_of else []
        self.process = subprocess.Popen([str(SCRIPT), *following, *settings], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        words = self.process.stdout.readline().split()
        if words[:1] != ["ready"]:
            if self.process.wait() == SKIPPED:
                sys.exit(SKIPPED)
            raise RuntimeError("the PostgreSQL cluster did not start")
        self.directory = words[1]
        self.numbers = itertools.count()
        if not standby_of:
            self.run("CREATE ROLE server LOGIN")

    def url(self, role, database):
        return f"postgres://{role}@/{database}?host={self.directory}"

    def run(self, statements, database="postgres"):
        """As the owner; what the last statement gives, as text."""
        done = subprocess.run(["psql", "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1",
                               self.url("owner", database), "-c", statements],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    def new_database(self):
        """A database with the schema; its name."""
        name = f"test_{next(self.numbers)}"
        self.run(f"CREATE DATABASE {name}")
        subprocess.run([BINARY, "schema", "--store", self.url("owner", name), "--apply"],
                       check=True, capture_output=True)
        self.run(GRANTS, name)
        return name

    def new_store(self):
        return self.url("server", self.new_database())

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
