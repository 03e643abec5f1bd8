#!/usr/bin/python3
"""The contract and the crash test on Google's emulator of Cloud Spanner, with the schema and the
start around them. The emulator does one transaction that writes at a time, so there are fewer
crashes than elsewhere: ZANDAKA_SPANNER_CRASHES (5). And a storm of duplicates while the emulator aborts
commits at random: ZANDAKA_SPANNER_TRANSACTIONS (1000).
"""
import os
import random
import subprocess
import threading
import unittest

import test_contract
import test_crash
from server import BINARY, Grpc, Server
from spanner import Emulator

test_crash.CRASHES = int(os.environ.get("ZANDAKA_SPANNER_CRASHES", "5"))
TRANSACTIONS = int(os.environ.get("ZANDAKA_SPANNER_TRANSACTIONS", "1000"))
CALLERS = 16

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


class Duplicate(threading.Thread):
    """Sends its share of the transactions, each of which another caller sends too, until each is
    answered for good."""

    def __init__(self, number, address, answers):
        super().__init__()
        self.random = random.Random(number)
        # Of neighbours, each has the other's half.
        self.ids = [i for i in range(TRANSACTIONS) if i % CALLERS in (number, number ^ 1)]
        self.random.shuffle(self.ids)
        self.address = address
        self.answers = answers
        self.complaints = []

    def run(self):
        grpc = Grpc(self.address)
        for number in self.ids:
            answer = self.send(grpc, number)
            if answer != self.answers.setdefault(number, answer):
                self.complaints.append(f"t{number}: the answers differ")
        grpc.close()

    def send(self, grpc, number):
        request = grpc.messages.AddRequest(transaction_id=f"t{number}",
                                           account_id=f"account-{number % 50}")
        request.amounts.add(kind="points", amount=1 + number % 7)
        for _ in range(100):
            try:
                return grpc.call("Add", request, timeout=60)[0]
            except grpc.grpc.RpcError as error:
                if error.code() != grpc.grpc.StatusCode.UNAVAILABLE:
                    self.complaints.append(f"t{number}: {error.code()} {error.details()}")
                    return None
        self.complaints.append(f"t{number}: unavailable for good")
        return None


class Aborts(unittest.TestCase):
    def test_each_of_many_duplicates_takes_effect_once_while_commits_are_aborted(self):
        calm = os.environ["SPANNER_EMULATOR_HOST"]
        self.addCleanup(os.environ.update, SPANNER_EMULATOR_HOST=calm)
        storm = Emulator("--enable_fault_injection")
        self.addCleanup(storm.close)
        answers = {}
        with Server("[kind.points]\n", store=storm.new_store()) as server:
            callers = [Duplicate(i, server.address, answers) for i in range(CALLERS)]
            for caller in callers:
                caller.start()
            for caller in callers:
                caller.join()
            self.assertEqual([each for caller in callers for each in caller.complaints], [])
            self.assertEqual(len(answers), TRANSACTIONS)
            for account in range(50):
                wanted = sum(1 + number % 7 for number in range(account, TRANSACTIONS, 50))
                self.assertEqual(server.balance(f"account-{account}"), wanted)
            self.assertEqual(server.stop(), 0)
            verified = server.verify()
            self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)
            self.assertIn(f"transactions: {TRANSACTIONS} ", verified.stdout)


if __name__ == "__main__":
    unittest.main()
