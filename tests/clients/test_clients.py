"""One of examples/clients, run as a team would run it: through a network that loses requests and
answers, against the real server, and against a server that answers by script.

    test_clients.py COMMAND ...    the built example, without its arguments

Every random choice comes from ZANDAKA_SEED, which is printed.
"""
import collections
import concurrent.futures
import os
import pathlib
import random
import subprocess
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "outside")]

from proxy import Proxy  # noqa: E402
from script import ScriptedServer, error, overloaded, success  # noqa: E402
from server import Server, add, reason  # noqa: E402

SEED = int(os.environ.get("ZANDAKA_SEED", random.SystemRandom().randrange(10**9)))
SERVICE_CONFIG = HERE.parent.parent / "examples" / "clients" / "service_config.json"
COMMAND = []

WORKERS = 3
ORDERS_OF_A_WORKER = 50
SHARED_ORDERS = 15
ATTEMPT_MS, PATIENCE_MS = 250, 900


def buy(server, orders, attempt_ms, patience_ms, service_config=SERVICE_CONFIG):
    """What the example tells of each order: [(order, word, reason or "")]."""
    done = subprocess.run(
        [*COMMAND, server, str(attempt_ms), str(patience_ms)], text=True, capture_output=True,
        input="".join(" ".join(map(str, order)) + "\n" for order in orders), timeout=300,
        env=dict(os.environ, SERVICE_CONFIG=str(service_config)))
    if done.returncode != 0:
        raise AssertionError(f"ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    told = [(line + " ").split(" ", 2) for line in done.stdout.splitlines()]
    assert [each[0] for each in told] == [order[0] for order in orders], done.stdout + done.stderr
    return [(order, word, reason.strip()) for order, word, reason in told]


class Manners(unittest.TestCase):
    """What one example sends, held against docs/callers.md by a server that answers by script."""

    def bought(self, consume, cancel=(success,)):
        """Buys one order from a server that gives these answers; the last one goes on."""
        with ScriptedServer({"Consume": consume, "Cancel": cancel}) as server:
            told = buy(server.address, [("order-1", "alice", "points", 5)], 10000, 60000)
            return told[0][1:], server.calls

    def expect_calls(self, calls, *methods):
        self.assertEqual([call.method for call in calls], list(methods))
        bodies = collections.defaultdict(set)
        for call in calls:
            bodies[call.method].add(call.request)
        for each in bodies.values():
            self.assertEqual(len(each), 1, "a repeat must be the same request, byte for byte")

    def test_a_success_is_not_repeated(self):
        told, calls = self.bought([success])
        self.assertEqual(told, ("paid", ""))
        self.expect_calls(calls, "Consume")

    def test_the_same_request_is_sent_until_it_is_settled(self):
        unknown = error("INTERNAL", "INTERNAL", "unknown", "same_request")
        told, calls = self.bought([unknown, unknown, success])
        self.assertEqual(told, ("paid", ""))
        self.expect_calls(calls, "Consume", "Consume", "Consume")

    def test_an_overloaded_server_is_given_the_time_that_it_asks_for(self):
        told, calls = self.bought([overloaded(700)] * 5 + [success])
        self.assertEqual(told, ("paid", ""))
        self.expect_calls(calls, *["Consume"] * 6)
        for before, after in zip(calls, calls[1:]):
            self.assertGreaterEqual(after.time - before.time, 0.69)

    def test_a_refusal_is_fenced_before_anybody_is_told(self):
        short = error("FAILED_PRECONDITION", "INSUFFICIENT_BALANCE", "no", "after_change")
        told, calls = self.bought([short])
        self.assertEqual(told, ("not_paid", "INSUFFICIENT_BALANCE"))
        self.expect_calls(calls, "Consume", "Cancel")

    def test_the_fence_is_repeated_too(self):
        short = error("FAILED_PRECONDITION", "INSUFFICIENT_BALANCE", "no", "after_change")
        unknown = error("UNAVAILABLE", "OUTCOME_UNKNOWN", "unknown", "same_request")
        told, calls = self.bought([short], [unknown] * 6 + [success])
        self.assertEqual(told, ("not_paid", "INSUFFICIENT_BALANCE"))
        self.expect_calls(calls, "Consume", *["Cancel"] * 7)

    def test_what_is_fenced_is_settled(self):
        fenced = error("FAILED_PRECONDITION", "TRANSACTION_CANCELLED", "no", "never")
        told, calls = self.bought([fenced])
        self.assertEqual(told, ("not_paid", "TRANSACTION_CANCELLED"))
        self.expect_calls(calls, "Consume")

    def test_anothers_content_under_the_id_is_no_payment_of_ours(self):
        reused = error("INVALID_ARGUMENT", "TRANSACTION_ID_REUSED", "no", "never")
        told, calls = self.bought([reused])
        self.assertEqual(told, ("not_paid", "TRANSACTION_ID_REUSED"))
        self.expect_calls(calls, "Consume")

    def test_a_fence_that_comes_too_late_means_that_it_was_paid(self):
        short = error("FAILED_PRECONDITION", "INSUFFICIENT_BALANCE", "no", "after_change")
        late = error("FAILED_PRECONDITION", "TRANSACTION_SUCCEEDED", "no", "never")
        told, calls = self.bought([short, success], [late])
        self.assertEqual(told, ("paid", ""))
        self.expect_calls(calls, "Consume", "Cancel", "Consume")

    def test_a_late_fence_behind_anothers_content_is_no_payment_of_ours(self):
        short = error("FAILED_PRECONDITION", "INSUFFICIENT_BALANCE", "no", "after_change")
        late = error("FAILED_PRECONDITION", "TRANSACTION_SUCCEEDED", "no", "never")
        reused = error("INVALID_ARGUMENT", "TRANSACTION_ID_REUSED", "no", "never")
        told, calls = self.bought([short, reused], [late])
        self.assertEqual(told, ("not_paid", "TRANSACTION_ID_REUSED"))
        self.expect_calls(calls, "Consume", "Cancel", "Consume")

    def test_an_id_that_cannot_be_fenced_is_told_as_unsettled(self):
        denied = error("PERMISSION_DENIED", "PERMISSION_DENIED", "no", "never")
        told, calls = self.bought([denied], [denied])
        self.assertEqual(told, ("unsettled", "PERMISSION_DENIED"))
        self.expect_calls(calls, "Consume", "Cancel")


class ServiceConfig(unittest.TestCase):
    """The service config is really loaded: with it, one call survives two lost requests."""

    def told_with(self, service_config):
        with Server(store="memory:") as server:
            server.call("Add", add("grant", points=5))
            with Proxy(server.address, SEED, {"passed": 1}, ["request lost"] * 2) as proxy:
                told = buy(proxy.address, [("order-1", "alice", "points", 5)], 10000, 1,
                           service_config)
            return told[0][1:]

    @unittest.skipIf(os.environ.get("ZANDAKA_NO_SERVICE_CONFIG"), "this library has none")
    def test_one_call_survives_two_lost_requests(self):
        self.assertEqual(self.told_with(SERVICE_CONFIG), ("paid", ""))

    def test_without_it_the_call_is_given_up_and_fenced(self):
        self.assertEqual(self.told_with(HERE / "no_retries.json"), ("not_paid", "GAVE_UP"))


class Storm(unittest.TestCase):
    """Several workers on one queue, in a network that fails, with a server that is killed."""

    def orders(self, chance):
        """Each worker's orders. Some are given to two workers, as queues do, or twice to one."""
        def order(number, worker):
            sort = chance.randrange(20)
            amount = chance.randint(1, 30)
            if sort == 0:
                return f"wrong-{worker}-{number}", "alice", "gold", amount  # no such kind
            if sort == 1:
                return f"zero-{worker}-{number}", "alice", "points", 0
            account = "poor" if sort < 5 else chance.choice(("alice", "bob", "carol"))
            return f"order-{worker}-{number}", account, chance.choice(("points", "money")), amount

        shared = [order(number, "shared") for number in range(SHARED_ORDERS)]
        workers = []
        for worker in range(WORKERS):
            own = [order(number, worker) for number in range(ORDERS_OF_A_WORKER)]
            own += shared + own[:3]
            first = own[5]
            chance.shuffle(own)
            # The bug of another team: an id that has been used, with another amount.
            own.append((first[0], first[1], first[2], first[3] + 1))
            workers.append(own)
        return workers

    def test_the_end_balances_are_what_was_told(self):
        print(f"ZANDAKA_SEED={SEED}", flush=True)
        chance = random.Random(SEED)
        funds = {(account, kind): 10**6 if account != "poor" else 60
                 for account in ("alice", "bob", "carol", "poor") for kind in ("points", "money")}
        workers = self.orders(chance)
        with Server() as server:
            for account, kind in funds:
                server.call("Add", add(f"grant-{account}-{kind}", account,
                                       **{kind: funds[account, kind]}))
            with Proxy(server.address, SEED) as proxy:
                with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
                    running = [pool.submit(buy, proxy.address, orders, ATTEMPT_MS, PATIENCE_MS)
                               for orders in workers]
                    # The plug is pulled once, in the middle.
                    while sum(proxy.counts.values()) < WORKERS * ORDERS_OF_A_WORKER // 2:
                        self.assertFalse(all(each.done() for each in running))
                        time.sleep(0.01)
                    address = server.address
                    server.kill()
                    server.start(listen=address)
                    told = [each.result() for each in running]
                proxy.settle()
                print(dict(proxy.counts), flush=True)
            self.judge(server, funds, workers, told)
            self.assertEqual(server.stop(), 0)
            verified = server.verify()
            self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)

    def judge(self, server, funds, workers, told):
        """Holds what the workers told against the server's own records, histories and balances."""
        verdicts = collections.defaultdict(set)
        words = collections.Counter()
        for orders, each in zip(workers, told):
            for order, (_, word, why) in zip(orders, each):
                verdicts[order].add(word)
                words[word, why] += 1
        print({" ".join(key).strip(): count for key, count in words.items()}, flush=True)
        self.assertNotIn("unsettled", {word for word, _ in words})
        for order, each in verdicts.items():
            self.assertEqual(len(each), 1, f"{order} was told in two ways")
        paid = {order for order, word in verdicts.items() if word == {"paid"}}
        left = dict(funds)
        for _, account, kind, amount in paid:
            left[account, kind] -= amount
        for (account, kind), amount in left.items():
            self.assertEqual(server.balance(account, kind), amount, (account, kind))
        self.assertEqual(self.consumed(server, funds), {f"{order[0]}-pay" for order in paid})
        self.judge_repeats(server, funds, paid, verdicts)
        # The storm was one: something was paid, refused, given up, and used twice.
        seen = {why for _, why in words}
        self.assertLessEqual({"", "GAVE_UP", "INSUFFICIENT_BALANCE", "UNKNOWN_KIND",
                              "INVALID_REQUEST"}, seen)
        self.assertTrue(seen & {"TRANSACTION_ID_REUSED", "TRANSACTION_CANCELLED"})

    def consumed(self, server, funds):
        """The ids of all payments in the histories of all accounts."""
        ids = set()
        for account in {account for account, _ in funds}:
            token = ""
            while True:
                status, _, page = server.call("ListEntries", {
                    "accountId": account, "pageSize": 1000, "pageToken": token,
                    "operations": ["OPERATION_CONSUME"]})
                self.assertEqual(status, 200)
                ids.update(entry["transactionId"] for entry in page.get("entries", []))
                token = page.get("nextPageToken", "")
                if not token:
                    break
        return ids

    def judge_repeats(self, server, funds, paid, verdicts):
        """Nothing that was told as not paid can ever succeed, whatever is topped up."""
        for account, kind in funds:
            server.call("Add", add(f"top-up-{account}-{kind}", account, **{kind: 10**9}))
        paid_ids = {order[0] for order in paid}
        for order in verdicts:
            name, account, kind, amount = order
            status, headers, answer = server.call("Consume",
                                                  add(f"{name}-pay", account, **{kind: amount}))
            if order in paid:
                self.assertEqual((status, headers.get("zandaka-replayed")), (200, "true"), order)
            elif amount == 0:
                self.assertEqual(reason(answer)[0], "INVALID_REQUEST", order)
            elif name in paid_ids:
                self.assertEqual(reason(answer)[0], "TRANSACTION_ID_REUSED", order)
            else:
                self.assertEqual(reason(answer)[0], "TRANSACTION_CANCELLED", order)


if __name__ == "__main__":
    COMMAND = sys.argv[1:]
    unittest.main(argv=sys.argv[:1], verbosity=2)
