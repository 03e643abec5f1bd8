#!/usr/bin/env python3
"""The main job on PostgreSQL: two servers on one database, the same bank's transactions imported
through both in turn, while each server and then the database itself are killed. A throw-away
cluster; nothing is left behind.

    scripts/demo_postgres.py build/release/zandaka
"""
import csv
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from demo import ACCOUNTS, FILE, ROWS, Demo, expect

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "outside"))


class PostgresDemo(Demo):
    def __init__(self, binary, directory, cluster):
        super().__init__(binary, directory)
        self.cluster = cluster
        self.store = cluster.new_store()
        self.servers = [None, None]
        self.addresses = ["127.0.0.1:0", "127.0.0.1:0"]

    def start_server(self, number):
        address_file = self.directory / f"address-{number}"
        address_file.unlink(missing_ok=True)
        self.servers[number] = subprocess.Popen(
            [self.binary, "serve", "--listen", self.addresses[number], "--store", self.store,
             "--address-file", str(address_file)],
            stdout=subprocess.DEVNULL, stderr=open(self.directory / f"log-{number}", "ab"))
        while not address_file.exists():
            if self.servers[number].poll() is not None:
                sys.exit("the server did not start")
            time.sleep(0.01)
        self.addresses[number] = address_file.read_text().strip()

    def kill_server(self, number):
        self.servers[number].kill()
        self.servers[number].wait()
        self.start_server(number)

    def kill_database(self):
        self.cluster.command("kill")
        self.cluster.command("start")

    def import_with_kills(self):
        with open(FILE, newline="") as file:
            ids = [row["transaction_id"] for row in csv.DictReader(file)]
        harms = [(0, "killed the first server", lambda: self.kill_server(0)),
                 (1, "killed the second server", lambda: self.kill_server(1)),
                 (0, "killed the database", self.kill_database),
                 (1, "killed the database", self.kill_database)]
        for number, (through, told, harm) in enumerate(harms, 1):
            self.address = self.addresses[through]
            importer = self.importer()
            # The other server tells how far it is: both show the same.
            self.address = self.addresses[1 - through]
            while not self.is_recorded(ids[len(ids) * number // (len(harms) + 1)]):
                if importer.poll() is not None:
                    sys.exit(f"import ended with {importer.returncode}: {importer.stderr.read()}")
            harm()
            importer.kill()
            importer.communicate()
            print(f"  {told} in import {number} of {len(harms)}: {self.recorded():,} transactions "
                  "were durable, and the store is sound", flush=True)

    def run(self):
        print(f"Two servers, one PostgreSQL, and {ROWS:,} transactions of a bank's {ACCOUNTS} "
              "customers.")
        self.start_server(0)
        self.start_server(1)
        self.import_with_kills()
        for number, told in ((0, "again, until done, through the first"),
                             (1, "and once more, whole, through the second")):
            print(f"  imports {told}:", flush=True)
            self.address = self.addresses[number]
            line = self.import_whole()
            print(f"    {line}")
        expect(line, f"{ROWS} rows: 0 applied, {ROWS} replayed, 0 refused; "
                     f"{ACCOUNTS} accounts: {ACCOUNTS} balances match")
        if self.recorded() != ROWS:
            sys.exit(f"the store has {self.recorded()} transactions, not {ROWS}")
        for server in self.servers:
            server.terminate()
            if server.wait(timeout=60) != 0:
                sys.exit("a server did not stop cleanly")
        print(f"\nProved: two servers and their database were killed on the way, and every one of "
              f"{ROWS:,} transactions\ntook effect once, every one of {ACCOUNTS} accounts has the "
              "bank's own balance, and verify finds the\ndatabase sound.")


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "build/release/zandaka"
    os.environ["ZANDAKA"] = binary
    from postgres import Cluster  # which takes the binary from the environment
    cluster = Cluster()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="zandaka-demo-"))
    demo = PostgresDemo(binary, directory, cluster)
    try:
        demo.run()
    finally:
        for server in demo.servers:
            if server and server.poll() is None:
                server.kill()
                server.wait()
        cluster.close()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
