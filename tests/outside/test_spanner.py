#!/usr/bin/python3
"""The contract and the crash test on Google's emulator of Cloud Spanner, with the schema and the
start around them. The emulator does one transaction that writes at a time, so there are fewer
crashes than elsewhere: ZANDAKA_SPANNER_CRASHES (5). And a storm of duplicates while the emulator aborts
commits at random: ZANDAKA_SPANNER_TRANSACTIONS (1000).
"""
import contextlib
import os
import random
import socket
import subprocess
import threading
import time
import unittest

import kinds
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


class Kinds(kinds.Kinds, unittest.TestCase):
    """A kind that some servers lack."""

    def new_store(self):
        return emulator.new_store()


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


class Road:
    """The way from a server to the emulator, which can be closed: then nobody is there, and who was
    connected is no more."""

    def __init__(self, towards):
        host, port = towards.rsplit(":", 1)
        self.towards = (host, int(port))
        self.place = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.place.getsockname()[1]
        self.ends = []
        self.open = False
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.place.accept()
            except OSError:
                return
            if not self.open:
                near.close()
                continue
            far = socket.create_connection(self.towards)
            self.ends += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=(one, other), daemon=True).start()

    @staticmethod
    def carry(one, other):
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def shut(self):
        self.open = False
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.ends.clear()


class Away(unittest.TestCase):
    def wait_until(self, server, status):
        deadline = time.monotonic() + 120
        while server.get("/readyz")[0] != status:
            self.assertLess(time.monotonic(), deadline, f"/readyz is not {status}")
            time.sleep(0.05)

    def test_a_server_gets_up_before_its_database_and_outlives_its_absence(self):
        store = emulator.new_store()
        road = Road(emulator.address)
        self.addCleanup(road.place.close)
        server = Server("[kind.points]\n", store=store)
        server.environment = {"SPANNER_EMULATOR_HOST": road.address}
        with server:
            status, why = server.get("/readyz")
            self.assertEqual(status, 503)
            self.assertIn(b"Spanner cannot be reached", why)
            status, _, answer = server.call("Add", test_contract.add("t1", points=5))
            self.assertEqual((status, test_contract.reason(answer)),
                             (503, ("STORE_UNAVAILABLE", "no", "same_request")))
            for round_number in range(2):
                road.open = True
                self.wait_until(server, 200)
                status, _, answer = server.call("Add", test_contract.add("t1", points=5))
                self.assertEqual(status, 200, answer)
                self.assertEqual(server.balance("alice"), 5)
                road.shut()
                self.wait_until(server, 503)


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
