#!/usr/bin/python3
"""A failover under load: a primary, a standby that every commit waits for, two servers that know both.
The primary dies, or is made read-only and lives on; the standby takes its place. What was answered as
done is there, what was answered with `applied: no` is not, and the servers go on by themselves.

ZANDAKA_FAILOVERS (1) says how many of each; ZANDAKA_SEED repeats a run's choices (not its timing).
"""
import http.client
import itertools
import json
import os
import random
import threading
import time
import unittest

import test_crash
import test_postgres
from postgres import Cluster
from server import SERVICE, Server, add, reason

FAILOVERS = int(os.environ.get("ZANDAKA_FAILOVERS", "1"))
SEED = int(os.environ.get("ZANDAKA_SEED", time.time_ns() % 10**9))
CALLERS = 6
CLAIMANTS = 4
numbers = itertools.count()


class Claimant(threading.Thread):
    """Sends each of its ids once, and keeps what it was told of it."""

    def __init__(self, number, address, stop):
        super().__init__()
        self.number = number
        self.address = address
        self.stopping = stop
        self.told = {}  # id -> "done", "no" or "unknown"
        self.wrong = []

    def run(self):
        for count in range(10**9):
            if self.stopping.is_set():
                return
            self.told[f"once-{self.number}-{count}"] = self.send(f"once-{self.number}-{count}")

    def send(self, transaction_id):
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            connection.request("POST", SERVICE + "Add",
                               json.dumps(add(transaction_id, f"claimant-{self.number}", points=1)),
                               {"content-type": "application/json"})
            answer = connection.getresponse()
            message = json.loads(answer.read())
        except (OSError, http.client.HTTPException) as error:
            self.wrong.append(f"{transaction_id}: {error}")
            return "unknown"
        finally:
            connection.close()
        if answer.status == 200:
            return "done"
        name, applied, _ = reason(message)
        if name not in ("STORE_UNAVAILABLE", "OUTCOME_UNKNOWN"):
            self.wrong.append(f"{transaction_id}: {message}")
        return applied


class Failover(unittest.TestCase):
    judge = test_crash.Crash.judge
    history = test_crash.Crash.history

    def setUp(self):
        self.primary = Cluster()
        self.addCleanup(self.primary.close)
        self.database = self.primary.new_database()
        self.standby = Cluster(standby_of=self.primary)
        self.addCleanup(self.standby.close)
        self.primary.run("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        self.primary.run("SELECT pg_reload_conf()")
        self.wait_for("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'", "1")

    def wait_for(self, query, answer):
        deadline = time.monotonic() + 60
        while self.primary.run(query) != answer:
            self.assertLess(time.monotonic(), deadline, query)
            time.sleep(0.01)

    def test_a_primary_that_dies_is_followed_by_its_standby(self):
        self.fail_over(lambda: self.primary.command("kill"))

    def test_a_primary_that_takes_no_writes_any_more_is_left(self):
        def demote():
            self.primary.run("ALTER SYSTEM SET default_transaction_read_only = on")
            self.primary.run("SELECT pg_reload_conf()")

        def judge():
            # Whoever still read there would read the past. A commit may wait there for ever.
            self.wait_for("SELECT count(*) FROM pg_stat_activity WHERE usename = 'server' "
                          "AND wait_event IS DISTINCT FROM 'SyncRep'", "0")
        self.fail_over(demote, judge)

    def fail_over(self, end_primary, judge=lambda: None):
        seed = SEED + next(numbers)
        print(f"seed {seed}", flush=True)
        chooser = random.Random(seed)
        store = (f"postgres://server@/{self.database}?host={self.primary.directory},"
                 f"{self.standby.directory}")
        with Server("[kind.points]\n", store=store) as one, \
                Server("[kind.points]\n", store=store) as two:
            stop = threading.Event()
            answers = {}
            callers = [test_postgres.Caller(i, [one.address, two.address], stop, answers, seed)
                       for i in range(CALLERS)]
            claimants = [Claimant(i, [one, two][i % 2].address, stop) for i in range(CLAIMANTS)]
            for each in callers + claimants:
                each.start()
            try:
                test_crash.wait_for_answers(callers, chooser.randint(100, 600))
                end_primary()
                time.sleep(chooser.choice([0, 0.3, 1.5]))
                self.standby.command("promote")
                test_crash.wait_for_answers(callers, 300)
                self.wait_until_done(claimants)
                judge()
            finally:
                stop.set()
                for each in callers + claimants:
                    each.join()
            self.judge_claims(two, claimants)
            self.judge(one, callers)
            self.assertEqual(two.stop(), 0)

    def wait_until_done(self, claimants):
        """Each has been answered that something is done, after all that has happened."""
        before = {each: len(each.told) for each in claimants}
        deadline = time.monotonic() + 120
        while any("done" not in list(each.told.values())[before[each]:] for each in claimants):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def judge_claims(self, server, claimants):
        self.assertEqual([each for claimant in claimants for each in claimant.wrong], [])
        counts = {}
        for claimant in claimants:
            for transaction_id, told in claimant.told.items():
                counts[told] = counts.get(told, 0) + 1
                status, _, _ = server.call("GetTransaction", {"transactionId": transaction_id})
                if told != "unknown":
                    self.assertEqual(status, 200 if told == "done" else 404,
                                     (transaction_id, told))
        print("sent once:", counts, flush=True)


def load_tests(loader, tests, pattern):
    return unittest.TestSuite(loader.loadTestsFromTestCase(Failover) for _ in range(FAILOVERS))


if __name__ == "__main__":
    unittest.main()
