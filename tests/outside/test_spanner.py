#!/usr/bin/python3
"""The contract and the crash test on Google's emulator of Cloud Spanner, with the schema and the
start around them. The emulator does one transaction that writes at a time, so there are fewer
crashes than elsewhere: ZANDAKA_SPANNER_CRASHES (5).
"""
import os
import subprocess
import unittest

import test_contract
import test_crash
from server import BINARY, Server
from spanner import Emulator

test_crash.CRASHES = int(os.environ.get("ZANDAKA_SPANNER_CRASHES", "5"))

emulator = None


def setUpModule():
    global emulator
    emulator = Emulator()
    Server.new_store = lambda server: emulator.new_store()
    # Its time for a commit grows with the square of the rows: seconds for the largest.
    Server.timeout_s = 300


def tearDownModule():
    emulator.close()


class Contract(test_contract.Contract):
    """All of it, on Spanner."""


class Crash(test_crash.Crash):
    """A server is killed again and again; its database stays."""


def zandaka(*arguments):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True)


class Schema(unittest.TestCase):
    def test_it_is_printed_made_once_and_then_left_alone(self):
        url = emulator.new_url()
        printed = zandaka("schema", "--store", url)
        self.assertEqual(printed.returncode, 0)
        self.assertIn("CREATE TABLE IF NOT EXISTS transactions", printed.stdout)
        first = zandaka("schema", "--store", url, "--apply")
        self.assertEqual((first.returncode, first.stdout),
                         (0, "made the schema, version 1\n"), first.stderr)
        again = zandaka("schema", "--store", url, "--apply")
        self.assertEqual((again.returncode, again.stdout),
                         (0, "the schema stands, version 1: nothing to do\n"), again.stderr)

    def test_a_server_says_what_to_run_where_there_is_no_database(self):
        url = emulator.new_url()
        for verb in ("serve", "verify"):
            refused = zandaka(verb, "--store", url)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("zandaka schema --store URL --apply", refused.stderr)


class Reading(unittest.TestCase):
    def test_balances_may_lag_behind_as_configured_and_records_do_not(self):
        store = emulator.new_store()
        with Server("[kind.points]\n", store=store + "?max_staleness_ms=10") as server:
            added = server.run("add", "--id", "t1", "--account", "alice", "points=5")
            self.assertEqual(added.returncode, 0, added.stderr)
            self.assertEqual(server.run("transaction", "--id", "t1").returncode, 0)
            while server.balance("alice") != 5:
                pass


if __name__ == "__main__":
    unittest.main()
