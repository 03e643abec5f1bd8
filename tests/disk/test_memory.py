#!/usr/bin/python3
"""The nth allocation fails, for one n after the other: in the start of a server, in each method and
each error by gRPC and by JSON, and in the stop. The process goes on and answers rightly, or it stops
and says so; then the store opens, is sound, and has all that was acknowledged.

ZANDAKA_ALLOCATIONS (2) says how many allocations of each call fail; 0: every one.
ZANDAKA_STARTS (12) says the same of a start, which has too many for every one; ZANDAKA_SEED repeats
a run's choices.
"""
import collections
import http.client
import itertools
import json
import os
import random
import shutil
import time
import unittest

from callers import Client, Known, judge, load
from server import reason
from shim import MEMORY, ShimmedServer

ALLOCATIONS = int(os.environ.get("ZANDAKA_ALLOCATIONS", "2"))
STARTS = int(os.environ.get("ZANDAKA_STARTS", "12"))
SEED = int(os.environ.get("ZANDAKA_SEED", time.time_ns() % 10**9))
# A process that stops must have said one of these.
WORDS = ("out of memory", "Cannot allocate memory", "memory has run out")
# No call makes so many allocations; a call that seems to is not understood.
ALLOCATIONS_MAX = 3000
BIG = "x" * (5 << 20)


def write(verb, transaction_id, account="alice", amount=5, kind="points"):
    return verb, {"transactionId": transaction_id, "accountId": account,
                  "amounts": [{"kind": kind, "amount": str(amount)}]}


def cancel(transaction_id):
    return "Cancel", {"transactionId": transaction_id}


def submit(*commands):
    return "Submit", {"commands": [{verb.lower(): message} for verb, message in commands]}


# What is called, `{}` standing for an id that nobody has used, and the reason that is the answer.
CALLS = {
    "an add": (write("Add", "{}"), None),
    "a consume": (write("Consume", "{}", amount=1), None),
    "a cancel": (cancel("{}"), None),
    "a replay": (write("Add", "first"), None),
    "a submit": (submit(write("Add", "{}a"), write("Consume", "{}b", amount=1), cancel("{}c"),
                        write("Consume", "{}d", "pauper")), None),
    "a balance": (("GetBalance", {"accountId": "alice"}), None),
    "balances": (("BatchGetBalances", {"accountIds": ["alice", "bob"]}), None),
    "a history": (("ListEntries", {"accountId": "alice", "pageSize": 3}), None),
    "a transaction": (("GetTransaction", {"transactionId": "first"}), None),
    "a malformed one": (write("Add", "{} {}"), "INVALID_REQUEST"),
    "other content": (write("Add", "first", amount=6), "TRANSACTION_ID_REUSED"),
    "an unknown kind": (write("Add", "{}", kind="stones"), "UNKNOWN_KIND"),
    "one not found": (("GetTransaction", {"transactionId": "nobody"}), "TRANSACTION_NOT_FOUND"),
    "a poor account": (write("Consume", "{}", "pauper"), "INSUFFICIENT_BALANCE"),
    "a large amount": (write("Add", "{}", amount=1001, kind="money"), "AMOUNT_LIMIT_EXCEEDED"),
    "a large balance": (write("Add", "{}", "rich", 1000, "money"), "BALANCE_LIMIT_EXCEEDED"),
    "a fenced one": (write("Add", "fenced"), "TRANSACTION_CANCELLED"),
    "a late cancel": (cancel("first"), "TRANSACTION_SUCCEEDED"),
    "a large one": (("Add", {"transactionId": BIG}), "REQUEST_TOO_LARGE"),
}


class Died(Exception):
    """There was no answer."""


class Memory(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}, {ALLOCATIONS or 'all'} of each call, {STARTS} of each start",
              flush=True)

    def setUp(self):
        self.random = random.Random(SEED)
        self.known = Known(SEED)
        self.ids = itertools.count()
        self.counts = collections.Counter()
        self.server = ShimmedServer(MEMORY)
        self.addCleanup(self.server.__exit__, None)

    def tearDown(self):
        print(f"{self._testMethodName}: {dict(self.counts)}", flush=True)

    def begin(self):
        self.n_log = len(self.server.log_text())  # before this process
        self.assertTrue(self.server.begin(), self.server.log_text())

    def make_store(self):
        self.begin()
        load(self.server, self.known, n=3)
        for verb, message in (write("Add", "first"), cancel("fenced"),
                              *(write("Add", f"rich-{n}", "rich", 1000, "money")
                                for n in range(5))):
            status, _, _ = self.server.call(verb, message)
            self.assertEqual(status, 200)
        self.assertEqual(self.server.stop(), 0)

    def check_last_words(self, what):
        """The process has ended; it was its own decision, and it said so."""
        status = self.server.process.returncode
        said = self.server.last_words(self.n_log)
        what = f"{what}, ended with {status}"
        self.assertTrue(any(words in said for words in WORDS), f"{what}: {said}")
        self.assertNotIn("a bug in zandaka", said, what)
        self.assertIn(status, (1, 2, -6, -7, -11), f"{what}: {said}")
        self.counts[f"ended with {status}"] += 1

    def check_sound(self, what):
        shim, self.server.shim = self.server.shim, None
        self.server.control.clear()
        self.assertEqual(judge(self.server, self.known, list(self.known.answers), go_on=False), [],
                         what)
        self.assertEqual(self.known.complaints, [], what)
        self.server.shim = shim

    # --- the start ---

    def fail_at_start(self, make_old):
        self.begin()
        n = self.server.control.n_allocations
        self.assertEqual(self.server.stop(), 0)
        self.counts["allocations"] = n
        # The first are the libraries' and ours, the many others RocksDB's.
        chosen = sorted({*self.random.sample(range(1, 200), STARTS // 3),
                         *self.random.sample(range(200, n), STARTS - STARTS // 3)})
        for number, at in enumerate(chosen):
            from_then_on = number % 2
            what = f"allocation {at} of {n}, from then on: {from_then_on}, seed {SEED}"
            make_old()
            self.n_log = len(self.server.log_text())
            if self.server.begin(fail_allocation=at, fail_from_then_on=from_then_on):
                self.counts["served"] += 1
                load(self.server, self.known, n=2)
                if self.server.process.poll() is None and self.server.stop() == 0:
                    self.check_sound(what)
                    continue
            self.server.process.wait(timeout=60)
            self.check_last_words(what)
            self.check_sound(what)

    def test_the_start_on_a_store(self):
        self.make_store()
        # A store that was killed has a log to be recovered.
        self.fail_at_start(self.kill_under_load)

    def kill_under_load(self):
        self.begin()
        load(self.server, self.known, n=2)
        self.server.kill()

    def test_the_start_that_makes_a_store(self):
        def make_nothing():
            self.known = Known(SEED)
            shutil.rmtree(self.server.disk)
            self.server.disk.mkdir()

        check_sound = self.check_sound
        self.check_sound = lambda what: self.start_again(what, check_sound)
        self.fail_at_start(make_nothing)

    def start_again(self, what, check_sound):
        """What an interrupted creation left becomes a store at the next start."""
        self.begin()
        load(self.server, self.known, n=2)
        self.assertEqual(self.server.stop(), 0, what)
        check_sound(what)

    # --- the calls ---

    def call_json(self, verb, message):
        """The reason of the answer, None when it is a success."""
        try:
            status, _, answer = self.server.call(verb, message)
        except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:
            raise Died from error
        return None if status == 200 else reason(answer)[0]

    def call_grpc(self, verb, message):
        from google.protobuf import json_format
        client = Client(self.server.address, self.known)
        request = json_format.ParseDict(message, getattr(client.messages, verb + "Request")())
        try:
            client.call(verb, request)
            return None
        except client.grpc.RpcError as error:
            info, _ = client.error_info(error)
            if not info.reason:
                raise Died from error
            return info.reason
        finally:
            client.close()

    def try_call(self, name, call, at):
        """The allocation number `at` from now on fails. Whether one did."""
        (verb, message), expected = CALLS[name]
        transaction_id = f"m{next(self.ids)}"
        message = json.loads(json.dumps(message).replace("{}", transaction_id))
        what = f"{name} by {call.__name__}, allocation {at}, seed {SEED}"
        control = self.server.control
        control.n_failed = 0
        control.fail_allocation = control.n_allocations + at
        try:
            self.assertEqual(call(verb, message), expected, what)
            self.acknowledge(verb, message, expected)
        except Died:
            if self.ends_or_serves():
                self.check_last_words(what)
                self.begin()
                self.assertEqual(call(verb, message), expected, what)
                return True
            self.counts["went on without an answer"] += 1
            self.assertGreater(control.n_failed, 0, what)
            self.assertEqual(call(verb, message), expected, what)
        control.fail_allocation = 0
        self.counts["answered"] += 1
        return control.n_failed > 0

    def acknowledge(self, verb, message, expected):
        if expected is None and verb in ("Add", "Consume", "Cancel"):
            amount = int(message["amounts"][0]["amount"]) if "amounts" in message else 0
            self.known.requests[message["transactionId"]] = (verb, message.get("accountId"), amount)
            self.known.answers.setdefault(message["transactionId"], None)

    def ends_or_serves(self):
        """There was no answer: true when the process ends of it, false when it still serves."""
        while self.server.process.poll() is None:
            try:
                if self.server.get("/livez")[0] == 200:
                    return False
            except (OSError, http.client.HTTPException):
                continue
        return True

    def fail_in_calls(self, call):
        self.make_store()
        self.begin()
        for name in CALLS:
            self.counts["calls"] += 1
            with self.subTest(name=name):
                self.fail_in_call(name, call)
                # What was left of the last call, such as its connection's end, may have met it.
                if self.ends_or_serves():
                    self.check_last_words(name)
                else:
                    self.assertEqual(self.server.stop(), 0)
                self.check_sound(name)
            self.begin()
        self.assertEqual(self.server.stop(), 0)

    def fail_in_call(self, name, call):
        """Every allocation that it makes, or some of them."""
        if ALLOCATIONS == 0:
            for at in range(1, ALLOCATIONS_MAX):
                if not self.try_call(name, call, at):
                    return
            self.fail(f"{name} makes more than {ALLOCATIONS_MAX} allocations")
        before = self.server.control.n_allocations
        self.try_call(name, call, ALLOCATIONS_MAX * 10)
        n = self.server.control.n_allocations - before
        for at in self.random.sample(range(1, n + 1), min(n, ALLOCATIONS)):
            self.try_call(name, call, at)

    def test_calls_by_grpc(self):
        self.fail_in_calls(self.call_grpc)

    def test_calls_by_json(self):
        self.fail_in_calls(self.call_json)

    # --- the stop ---

    def test_the_stop(self):
        self.make_store()
        self.begin()
        before = self.server.control.n_allocations
        self.assertEqual(self.server.stop(), 0)
        n = self.server.control.n_allocations - before
        chosen = range(1, n + 1)
        if ALLOCATIONS:
            chosen = self.random.sample(chosen, min(n, STARTS // 2))
        for at in chosen:
            self.begin()
            load(self.server, self.known, n=1)
            self.server.control.fail_allocation = self.server.control.n_allocations + at
            if self.server.stop() != 0:
                self.check_last_words(f"allocation {at} of the stop")
            else:
                self.counts["stopped well"] += 1
            self.server.control.fail_allocation = 0
            self.check_sound(f"allocation {at} of the stop, seed {SEED}")


if __name__ == "__main__":
    unittest.main()
