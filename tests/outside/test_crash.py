#!/usr/bin/python3
"""The plug is pulled, again and again, in the middle of a storm of retries: no acknowledged
transaction is lost, none is applied twice, no answer ever changes, and `verify` finds nothing.

ZANDAKA_CRASHES (20) says how often; ZANDAKA_SEED repeats a run's choices (not its timing).
"""
import os
import random
import threading
import time
import unittest

from server import Grpc, Server

CRASHES = int(os.environ.get("ZANDAKA_CRASHES", "20"))
SEED = int(os.environ.get("ZANDAKA_SEED", time.time_ns() % 10**9))
CALLERS = 8
PATIENCE_S = 120
ACCOUNTS = 20
# Old transactions are sent again, some with other content, so that replays and refusals of reuse
# cross the crashes too.
REPEATS = 0.3
CHANGED = 0.1


class Caller(threading.Thread):
    """Sends adds, consumes and fences; repeats each until it knows; remembers every answer."""

    def __init__(self, number, address, stop):
        super().__init__()
        self.random = random.Random(SEED * 1000 + number)
        self.number = number
        self.address = address
        self.stopping = stop
        self.answers = {}  # transaction id -> the raw record that was answered
        self.requests = {}  # transaction id -> (verb, account, amount) that was first sent
        self.complaints = []
        self.n_answers = 0

    def run(self):
        self.grpc = Grpc(self.address)
        count = 0
        while not self.stopping.is_set():
            count += 1
            if self.requests and self.random.random() < REPEATS:
                transaction_id = self.random.choice(list(self.requests))
            else:
                transaction_id = f"c{self.number}-{count}"
                self.requests[transaction_id] = (
                    self.random.choice(["Add", "Add", "Consume", "Consume", "Cancel"]),
                    f"account-{self.random.randrange(ACCOUNTS)}", self.random.randint(1, 50))
            verb, account, amount = self.requests[transaction_id]
            if transaction_id in self.answers and self.random.random() < CHANGED:
                self.attempt_changed(transaction_id, verb, account, amount)
            else:
                self.attempt(transaction_id, verb, account, amount)
        self.grpc.close()

    def send(self, transaction_id, verb, account, amount):
        if verb == "Cancel":
            return self.grpc.call(verb, self.grpc.messages.CancelRequest(
                transaction_id=transaction_id), timeout=5)
        request = getattr(self.grpc.messages, verb + "Request")(
            transaction_id=transaction_id, account_id=account)
        request.amounts.add(kind="points", amount=amount)
        return self.grpc.call(verb, request, timeout=5)

    def attempt(self, transaction_id, verb, account, amount):
        """Until the answer is one that it makes no sense to repeat, or the storm ends."""
        while not self.stopping.is_set():
            try:
                answer, _ = self.send(transaction_id, verb, account, amount)
                self.n_answers += 1
            except self.grpc.grpc.RpcError as error:
                if error.code() == self.grpc.grpc.StatusCode.FAILED_PRECONDITION:
                    self.refuse(transaction_id, error)
                    return
                if error.code() not in (self.grpc.grpc.StatusCode.UNAVAILABLE,
                                        self.grpc.grpc.StatusCode.DEADLINE_EXCEEDED,
                                        self.grpc.grpc.StatusCode.CANCELLED):
                    self.complaints.append(f"{transaction_id}: {error.code()} {error.details()}")
                    return
                # A channel waits longer and longer before it connects again; a new one does not.
                time.sleep(0.05)
                self.grpc.reconnect()
                continue
            if self.answers.setdefault(transaction_id, answer) != answer:
                self.complaints.append(f"{transaction_id}: the answer changed")
            return

    def refuse(self, transaction_id, error):
        info, _ = self.grpc.error_info(error)
        if transaction_id in self.answers:
            self.complaints.append(f"{transaction_id}: succeeded, then {info.reason}")
        elif info.reason != "INSUFFICIENT_BALANCE":
            self.complaints.append(f"{transaction_id}: {info.reason}")

    def attempt_changed(self, transaction_id, verb, account, amount):
        other = "Consume" if verb == "Add" else "Add"
        try:
            self.send(transaction_id, other, account, amount + 1)
            self.complaints.append(f"{transaction_id}: other content was accepted")
        except self.grpc.grpc.RpcError as error:
            if error.code() == self.grpc.grpc.StatusCode.UNAVAILABLE:
                return
            info, _ = self.grpc.error_info(error)
            if info.reason not in ("TRANSACTION_ID_REUSED", "TRANSACTION_CANCELLED", ""):
                self.complaints.append(f"{transaction_id}: other content got {info.reason}")


def wait_for_answers(callers, more):
    """Until so many more requests were answered: the plug is pulled in the middle of work, however
    fast the machine is."""
    wanted = sum(caller.n_answers for caller in callers) + more
    deadline = time.monotonic() + PATIENCE_S
    while sum(caller.n_answers for caller in callers) < wanted:
        if time.monotonic() > deadline:
            raise AssertionError(f"fewer than {more} answers within {PATIENCE_S} s")
        time.sleep(0.002)


class Crash(unittest.TestCase):
    def test_nothing_is_lost_doubled_or_changed_when_the_plug_is_pulled(self):
        print(f"seed {SEED}, {CRASHES} crashes", flush=True)
        chooser = random.Random(SEED)
        with Server("[kind.points]\n") as server:
            stop = threading.Event()
            callers = [Caller(i, server.address, stop) for i in range(CALLERS)]
            for caller in callers:
                caller.start()
            for _ in range(CRASHES):
                wait_for_answers(callers, chooser.randint(20, 400))
                server.kill()
                server.start(server.address)
            wait_for_answers(callers, 100)
            stop.set()
            for caller in callers:
                caller.join()
            self.judge(server, callers)

    def judge(self, server, callers):
        complaints = [each for caller in callers for each in caller.complaints]
        self.assertEqual(complaints, [])
        answers = {key: value for caller in callers for key, value in caller.answers.items()}
        self.assertGreater(len(answers), 100)
        grpc = Grpc(server.address)
        self.addCleanup(grpc.close)
        for transaction_id, answer in answers.items():
            found, _ = grpc.call("GetTransaction", grpc.messages.GetTransactionRequest(
                transaction_id=transaction_id))
            self.assertEqual(found, answer, transaction_id)
        # Every entry of every account, once, adds up to the balance that is told.
        entries = {}
        for number in range(ACCOUNTS):
            account = f"account-{number}"
            total = sum(self.history(grpc, account, entries))
            self.assertEqual(server.balance(account), total)
        moved = {key for key, value in answers.items()
                 if grpc.transaction.Transaction.FromString(value).legs}
        self.assertLessEqual(moved, set(entries), "an acknowledged transaction left no entry")
        self.assertEqual({key for key, count in entries.items() if count != 1}, set())
        self.assertEqual(server.stop(), 0)
        verified = server.verify()
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)
        print(f"{len(answers)} acknowledged, {len(entries)} entries", flush=True)

    def history(self, grpc, account, entries):
        token = ""
        while True:
            raw, _ = grpc.call("ListEntries", grpc.messages.ListEntriesRequest(
                account_id=account, page_size=1000, page_token=token))
            page = grpc.messages.ListEntriesResponse.FromString(raw)
            for entry in page.entries:
                entries[entry.transaction_id] = entries.get(entry.transaction_id, 0) + 1
                yield entry.amount
            token = page.next_page_token
            if not token:
                return


if __name__ == "__main__":
    unittest.main()
