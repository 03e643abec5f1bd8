#!/usr/bin/env python3
"""The main job on real input: a bank's 36,048 transactions, imported while the server is killed
again and again, end on the bank's own balance for each of its 926 accounts.

    scripts/demo.py build/release/zandaka
"""
import csv
import http.client
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

FILE = pathlib.Path(__file__).resolve().parent.parent / "examples/czech-bank/czech-bank-1993.csv"
ROWS, ACCOUNTS = 36048, 926
KILLS = 5
TIMEOUT_S = 300


class Demo:
    timeout_s = "20"  # of one call of an import, on a machine with other work
    read_timeout_s = 10

    def __init__(self, binary, directory):
        self.binary = binary
        self.directory = directory
        self.store = f"rocksdb:{directory}/store"
        self.server = None
        self.address = "127.0.0.1:0"

    def start(self):
        address_file = self.directory / "address"
        address_file.unlink(missing_ok=True)
        self.server = subprocess.Popen(
            [self.binary, "serve", "--listen", self.address, "--store", self.store,
             "--address-file", str(address_file)], stdout=subprocess.DEVNULL)
        while not address_file.exists():
            if self.server.poll() is not None:
                sys.exit("the server did not start")
            time.sleep(0.01)
        self.address = address_file.read_text().strip()

    def kill(self):
        self.server.kill()
        self.server.wait()

    def importer(self):
        return subprocess.Popen(
            [self.binary, "import", str(FILE), "--server", self.address, "--kind", "money",
             "--amount-column", "amount_minor", "--balance-column", "balance_after_minor",
             "--timeout", self.timeout_s], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def recorded(self):
        """How many transactions the store has, by verify: the server must be stopped."""
        verified = subprocess.run([self.binary, "verify", "--store", self.store],
                                  capture_output=True, text=True)
        if verified.returncode != 0:
            sys.exit(f"verify found:\n{verified.stdout}{verified.stderr}")
        return int(re.search(r"^transactions: (\d+)", verified.stdout, re.MULTILINE)[1])

    def is_recorded(self, transaction_id):
        host, port = self.address.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=self.read_timeout_s)
        connection.request("POST", "/zandaka.v1.BalanceService/GetTransaction",
                           json.dumps({"transactionId": transaction_id}),
                           {"content-type": "application/json"})
        status = connection.getresponse().status
        connection.close()
        return status == 200

    def import_with_kills(self):
        """Each round lets the import get about one step further, then pulls the plug."""
        with open(FILE, newline="") as file:
            ids = [row["transaction_id"] for row in csv.DictReader(file)]
        for round_number in range(1, KILLS + 1):
            importer = self.importer()
            while not self.is_recorded(ids[len(ids) * round_number // (KILLS + 1)]):
                if importer.poll() is not None:
                    sys.exit(f"import ended with {importer.returncode}: {importer.stderr.read()}")
            self.kill()
            try:
                importer.communicate(timeout=1)
            except subprocess.TimeoutExpired:  # it looks for its server for its whole timeout
                importer.kill()
                importer.communicate()
            print(f"  killed the server in import {round_number} of {KILLS}: "
                  f"{self.recorded():,} transactions were durable, and the store is sound",
                  flush=True)
            self.start()

    def import_whole(self):
        importer = self.importer()
        out, err = importer.communicate(timeout=TIMEOUT_S)
        if importer.returncode != 0:
            sys.exit(f"import ended with {importer.returncode}:\n{out}{err}")
        return out.strip().splitlines()[-1]

    def run(self):
        print(f"A fresh store, and {ROWS:,} transactions of a bank's {ACCOUNTS} customers.")
        self.start()
        self.import_with_kills()
        print("  imports again, until done:", flush=True)
        done = self.import_whole()
        print(f"    {done}")
        print("  and once more, whole:", flush=True)
        again = self.import_whole()
        print(f"    {again}")
        self.server.terminate()
        if self.server.wait(timeout=60) != 0:
            sys.exit("the server did not stop cleanly")
        expect(again, f"{ROWS} rows: 0 applied, {ROWS} replayed, 0 refused; "
                      f"{ACCOUNTS} accounts: {ACCOUNTS} balances match")
        if self.recorded() != ROWS:
            sys.exit(f"the store has {self.recorded()} transactions, not {ROWS}")
        print(f"\nProved: after {KILLS} kills and {KILLS + 2} imports, every one of {ROWS:,} "
              f"transactions took effect once,\nevery one of {ACCOUNTS} accounts has the bank's "
              "own balance, and verify finds the store sound.")


def expect(line, wanted):
    if line != wanted:
        sys.exit(f"the last import said\n  {line}\nand should have said\n  {wanted}")


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "build/release/zandaka"
    directory = pathlib.Path(tempfile.mkdtemp(prefix="zandaka-demo-"))
    demo = Demo(binary, directory)
    try:
        demo.run()
    finally:
        if demo.server and demo.server.poll() is None:
            demo.kill()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
