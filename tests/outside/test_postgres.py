#!/usr/bin/python3
"""The contract and the crash test on PostgreSQL, and what only a shared database has: two servers
under one storm, while servers are killed or paused, the database is killed, and connections are ended.

ZANDAKA_STORMS (1) says how many storms; ZANDAKA_SEED repeats a run's choices (not its timing).
"""
import os
import random
import signal
import threading
import time
import unittest

import kinds
import test_contract
import test_crash
from postgres import Cluster
from server import Grpc, Server

STORMS = int(os.environ.get("ZANDAKA_STORMS", "1"))
FAULTS = int(os.environ.get("ZANDAKA_FAULTS", "8"))
SEED = int(os.environ.get("ZANDAKA_SEED", time.time_ns() % 10**9))
CALLERS = 8
IDS = 400

cluster = None


def setUpModule():
    global cluster
    cluster = Cluster()
    Server.new_store = lambda server: cluster.new_store()


def tearDownModule():
    cluster.close()


class Contract(test_contract.Contract):
    """All of it, on PostgreSQL."""


class Crash(test_crash.Crash):
    """A server is killed again and again; its database stays."""


class Caller(test_crash.Caller):
    """Sends through either server, and shares its ids with all others: whoever sends one, sends the
    same, so that there is one answer to each."""

    def __init__(self, number, addresses, stop, answers, seed):
        super().__init__(number, addresses[0], stop)
        self.random = random.Random(seed * 1000 + number)
        self.addresses = addresses
        self.answers = answers
        self.seed = seed

    def run(self):
        self.grpc = Grpc(self.addresses[self.number % 2])
        first = 0
        while not self.stopping.is_set():
            first += self.random.randint(0, 3)
            number = first + self.random.randint(0, IDS)
            transaction_id = f"t{number}"
            chosen = random.Random(self.seed * 10**6 + number)
            verb = chosen.choice(["Add", "Add", "Consume", "Consume", "Consume", "Cancel"])
            account = f"account-{chosen.randrange(test_crash.ACCOUNTS)}"
            amount = chosen.randint(1, 50)
            self.requests[transaction_id] = (verb, account, amount)
            if self.random.random() < 0.2:
                self.grpc.close()
                self.grpc = Grpc(self.random.choice(self.addresses))
            if transaction_id in self.answers and self.random.random() < test_crash.CHANGED:
                self.attempt_changed(transaction_id, verb, account, amount)
            else:
                self.attempt(transaction_id, verb, account, amount)
        self.grpc.close()


class TwoServers(unittest.TestCase):
    def test_the_contract_holds_whatever_is_killed(self):
        for seed in range(SEED, SEED + STORMS):
            print(f"seed {seed}, {FAULTS} faults", flush=True)
            self.storm(seed)

    def storm(self, seed):
        chooser = random.Random(seed)
        store = cluster.new_store()
        database = store.split("?")[0].split("/")[-1]
        with Server("[kind.points]\n", store=store) as one, \
                Server("[kind.points]\n", store=store) as two:
            servers = [one, two]
            stop = threading.Event()
            answers = {}
            callers = [Caller(i, [one.address, two.address], stop, answers, seed)
                       for i in range(CALLERS)]
            for caller in callers:
                caller.start()
            try:
                for _ in range(FAULTS):
                    test_crash.wait_for_answers(callers, chooser.randint(20, 300))
                    self.harm(chooser, servers, database)
                test_crash.wait_for_answers(callers, 100)
            finally:
                stop.set()
                for caller in callers:
                    caller.join()
            test_crash.Crash.judge(self, one, callers)
            self.assertEqual(two.stop(), 0)
            verified = two.verify()
            self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)

    def harm(self, chooser, servers, database):
        what = chooser.choice(["server", "stop immediate", "kill", "connections", "stop fast",
                               "pause"])
        if what == "server":
            server = chooser.choice(servers)
            server.kill()
            server.start(server.address)
        elif what == "pause":
            # Longer than the database keeps the locks of who says nothing, or not.
            process = chooser.choice(servers).process
            process.send_signal(signal.SIGSTOP)
            time.sleep(chooser.choice([0.1, 4]))
            process.send_signal(signal.SIGCONT)
        elif what == "connections":
            cluster.run("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                        f"WHERE datname = '{database}' AND usename = 'server'")
        else:
            cluster.command(what)
            cluster.command("start")

    history = test_crash.Crash.history


class WhileServing(unittest.TestCase):
    def test_verify_proves_one_moment_while_two_servers_write(self):
        store = cluster.new_store()
        with Server("[kind.points]\n", store=store) as one, \
                Server("[kind.points]\n", store=store) as two:
            stop = threading.Event()
            callers = [test_crash.Caller(i, [one.address, two.address][i % 2], stop)
                       for i in range(4)]
            for caller in callers:
                caller.start()
            try:
                for _ in range(5):
                    test_crash.wait_for_answers(callers, 200)
                    verified = one.verify()
                    self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)
            finally:
                stop.set()
                for caller in callers:
                    caller.join()
            self.assertEqual([each for caller in callers for each in caller.complaints], [])


class Standby(unittest.TestCase):
    """Commits wait for a standby that is not there; who is ended in the wait has committed all the
    same. Nothing of that is told before a standby has it, since a failover would lose it."""

    def setUp(self):
        self.demand("")

    tearDown = setUp

    def demand(self, name):
        cluster.run(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
        cluster.run("SELECT pg_reload_conf()")
        while cluster.run("SHOW synchronous_standby_names") != name:
            time.sleep(0.01)

    def end_a_wait(self, ends, answers):
        """Waits until a commit waits, or all is answered, and ends the wait."""
        while int(cluster.run(f"SELECT count({ends}(pid)) FROM pg_stat_activity "
                              "WHERE wait_event = 'SyncRep'")) == 0 and not answers:
            time.sleep(0.01)

    def told(self, server, method, message, ends):
        """What is told once there are no standbys to wait for, and what was told before."""
        self.demand("nobody")
        answers = []
        call = threading.Thread(target=lambda: answers.append(server.call(method, message)))
        call.start()
        for _ in range(3):
            self.end_a_wait(ends, answers)
        before = list(answers)
        self.demand("")
        call.join()
        status, headers, _ = answers[0]
        return before, status, "zandaka-replayed" in headers

    def test_nothing_is_told_that_no_standby_has(self):
        for ends in "pg_cancel_backend", "pg_terminate_backend":
            with self.subTest(ends), Server("[kind.points]\n", store=cluster.new_store()) as server:
                grant = test_contract.add("t1", points=5)
                for method, message in ("Add", grant), ("Cancel", {"transactionId": "t2"}):
                    self.assertEqual(self.told(server, method, message, ends), ([], 200, False))
                    self.assertEqual(self.told(server, method, message, ends), ([], 200, True))
                self.assertEqual(server.balance("alice"), 5)


class Kinds(kinds.Kinds, unittest.TestCase):
    """A kind that some servers lack."""

    def new_store(self):
        return cluster.new_store()


class Readiness(unittest.TestCase):
    def wait_for(self, server, status):
        deadline = time.monotonic() + 60
        while True:
            got, body = server.get("/readyz")
            if got == status:
                return body.decode()
            self.assertLess(time.monotonic(), deadline, (got, body))
            time.sleep(0.02)

    def test_a_server_comes_up_before_its_database_and_recovers(self):
        store = cluster.new_store()
        cluster.command("stop fast")
        with Server("[kind.points]\n", store=store) as server:
            self.assertIn("cannot be reached", self.wait_for(server, 503))
            status, _, answer = server.call("Add", {
                "transactionId": "t", "accountId": "a",
                "amounts": [{"kind": "points", "amount": "1"}]})
            self.assertEqual((status, answer["details"][0]["debug"]["reason"]),
                             (503, "STORE_UNAVAILABLE"))
            cluster.command("start")
            self.wait_for(server, 200)
            status, _, _ = server.call("Add", {
                "transactionId": "t", "accountId": "a",
                "amounts": [{"kind": "points", "amount": "1"}]})
            self.assertEqual((status, server.balance("a")), (200, 1))


if __name__ == "__main__":
    unittest.main()
