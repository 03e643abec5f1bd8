#!/usr/bin/python3
"""Each limit of docs/api.md at the limit and one past it, over JSON and over gRPC; and walks through
histories."""
import concurrent.futures
import random
import socket
import string
import threading
import unittest

from server import Grpc, Server, add, reason

KINDS = "".join(f"[kind.k{i}]\n" for i in range(17)) + "[kind.points]\n[kind.money]\n" + (
    "[kind." + "k" * 32 + "]\n[kind.capped]\nmax_balance = 100\nmax_amount = 60\n")
MOST = 10**15


class Limits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(KINDS)
        cls.addClassCleanup(cls.server.__exit__, None, None, None)
        cls.server.start()
        cls.grpc = Grpc(cls.server.address)
        cls.addClassCleanup(cls.grpc.close)
        cls.numbers = iter(range(1 << 30))

    def fresh(self, prefix="t"):
        return f"{prefix}-{next(self.numbers)}"

    def both(self, method, message):
        """The outcome over JSON and over gRPC, which must be one: the reason, or None."""
        from google.protobuf import json_format
        status, _, answer = self.server.call(method, message)
        in_json = None if status == 200 else reason(answer)[0]
        request = json_format.ParseDict(message, getattr(self.grpc.messages, method + "Request")())
        try:
            self.grpc.call(method, request)
            in_grpc = None
        except self.grpc.grpc.RpcError as error:
            in_grpc = self.grpc.error_info(error)[0].reason
        self.assertEqual(in_json, in_grpc, str(message)[:200])
        return in_json

    def assertTaken(self, method, message):
        self.assertIsNone(self.both(method, message), str(message)[:200])

    def assertRefused(self, method, message, name="INVALID_REQUEST"):
        self.assertEqual(self.both(method, message), name, str(message)[:200])

    def message(self, **more):
        return {**add(self.fresh(), self.fresh("a"), points=1), **more}

    def test_ids_have_1_to_64_bytes(self):
        self.assertTaken("Add", self.message(transactionId="t" * 64))
        self.assertRefused("Add", self.message(transactionId="t" * 65))
        self.assertRefused("Add", self.message(transactionId=""))
        self.assertTaken("Add", self.message(accountId="a" * 64))
        self.assertRefused("Add", self.message(accountId="a" * 65))
        self.assertRefused("Add", self.message(accountId=""))
        for method, field in [("GetBalance", "accountId"), ("ListEntries", "accountId")]:
            self.assertTaken(method, {field: "a" * 64})
            for bad in ["a" * 65, "", "a b", "a\u007f", "\u00e9"]:
                self.assertRefused(method, {field: bad})
        for good in ["!", "~"]:
            self.assertTaken("GetBalance", {"accountId": good})
        self.assertTaken("GetTransaction", {"transactionId": "t" * 64})
        self.assertRefused("GetTransaction", {"transactionId": "t" * 65})
        self.assertRefused("GetTransaction", {"transactionId": "zandaka:1"},
                           "TRANSACTION_NOT_FOUND")
        self.assertTaken("Cancel", {"transactionId": "c" * 64})
        self.assertRefused("Cancel", {"transactionId": "c" * 65})
        self.assertRefused("Cancel", {"transactionId": "zandaka:c"})

    def test_a_transaction_has_1_to_16_amounts_and_no_kind_twice(self):
        kinds = [{"kind": f"k{i}", "amount": "1"} for i in range(17)]
        self.assertTaken("Add", self.message(amounts=kinds[:16]))
        self.assertRefused("Add", self.message(amounts=kinds))
        self.assertRefused("Add", self.message(amounts=[]))
        self.assertRefused("Add", self.message(amounts=[kinds[0], kinds[1], kinds[0]]))

    def test_a_kinds_code_has_32_bytes(self):
        self.assertTaken("Add", self.message(amounts=[{"kind": "k" * 32, "amount": "1"}]))
        for bad in ["k" * 33, "", "K", "1k", "-k", "k k", "k\u00e9"]:
            self.assertRefused("Add", self.message(amounts=[{"kind": bad, "amount": "1"}]))
        self.assertRefused("Add", self.message(amounts=[{"kind": "nosuch", "amount": "1"}]),
                           "UNKNOWN_KIND")

    def test_an_amount_is_1_to_10_to_the_15(self):
        for good in [1, MOST]:
            self.assertTaken("Add", self.message(amounts=[{"kind": "money", "amount": str(good)}]))
        for bad in [0, -1, MOST + 1, 2**63 - 1, -2**63]:
            self.assertRefused("Add", self.message(amounts=[{"kind": "money", "amount": str(bad)}]))

    def test_an_expire_time_means_nothing_so_far(self):
        amount = {"kind": "money", "amount": "1", "expireTime": "2030-01-01T00:00:00Z"}
        self.assertRefused("Add", self.message(amounts=[amount]))
        self.assertRefused("Consume", self.message(amounts=[amount]))

    def test_a_kinds_own_limits(self):
        account = self.fresh("a")

        def capped(amount):
            return {**add(self.fresh(), account), "amounts": [{"kind": "capped", "amount": amount}]}
        self.assertTaken("Add", capped("60"))
        self.assertRefused("Add", capped("61"), "AMOUNT_LIMIT_EXCEEDED")
        self.assertRefused("Consume", capped("61"), "AMOUNT_LIMIT_EXCEEDED")
        self.assertRefused("Add", capped("41"), "BALANCE_LIMIT_EXCEEDED")
        self.assertTaken("Add", capped("40"))
        self.assertRefused("Add", capped("1"), "BALANCE_LIMIT_EXCEEDED")
        self.assertEqual(self.server.balance(account, "capped"), 100)

    def test_a_description_has_256_bytes(self):
        for good in ["d" * 256, "\u3042" * 85 + "x", ""]:
            self.assertTaken("Add", self.message(description=good))
        for bad in ["d" * 257, "\u3042" * 86]:
            self.assertRefused("Add", self.message(description=bad))

    def test_metadata(self):
        def labels(count, key=4, value=4):
            return {f"{i:02}".ljust(key, "k"): "v" * value for i in range(count)}
        for good in [labels(16), labels(16, 32, 32), {"k" * 64: "v"}, {"k": "v" * 256},
                     {"!~": ""}, {"k": "\u3042" * 85}, labels(4, 4, 252)]:
            self.assertTaken("Add", self.message(metadata=good))
        for bad in [labels(17), {"k" * 65: "v"}, {"": "v"}, {"k": "v" * 257}, {"k k": "v"},
                    {"\u3042": "v"}, {"k": "\u3042" * 86}, {**labels(4, 4, 252), "x": ""}]:
            self.assertRefused("Add", self.message(metadata=bad))

    def test_a_submit_has_1_to_1024_commands(self):
        def commands(count):
            return {"commands": [{"add": self.message()} for _ in range(count)]}
        self.assertTaken("Submit", commands(1))
        self.assertTaken("Submit", commands(1024))
        self.assertRefused("Submit", commands(1025))
        self.assertRefused("Submit", commands(0))

    def test_a_batch_get_has_1_to_1000_accounts_and_repeats_are_allowed(self):
        self.assertTaken("BatchGetBalances", {"accountIds": ["a"]})
        ids = [f"a-{i % 300}" for i in range(1000)]
        self.assertTaken("BatchGetBalances", {"accountIds": ids})
        _, _, answer = self.server.call("BatchGetBalances", {"accountIds": ids})
        self.assertEqual([each["accountId"] for each in answer["accounts"]], ids)
        self.assertRefused("BatchGetBalances", {"accountIds": ids + ["a"]})
        self.assertRefused("BatchGetBalances", {"accountIds": []})
        self.assertRefused("BatchGetBalances", {"accountIds": ["a", "", "b"]})

    def test_a_list_of_entries_has_64_kinds_and_16_operations(self):
        self.assertTaken("ListEntries", {"accountId": "a", "kinds": [f"n{i}" for i in range(64)]})
        self.assertRefused("ListEntries", {"accountId": "a", "kinds": ["n"] * 65})
        self.assertTaken("ListEntries", {"accountId": "a", "operations": ["OPERATION_ADD"] * 16})
        self.assertRefused("ListEntries", {"accountId": "a", "operations": ["OPERATION_ADD"] * 17})
        self.assertRefused("ListEntries", {"accountId": "a",
                                           "operations": ["OPERATION_UNSPECIFIED"]})

    def test_a_header_list_has_16_kib(self):
        host, port = self.server.address.rsplit(":", 1)

        def ask(length):
            start = b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx: "
            request = start + b"y" * (length - len(start) - 4) + b"\r\n\r\n"
            with socket.create_connection((host, int(port)), timeout=30) as connection:
                connection.sendall(request)
                answer = b""
                while piece := connection.recv(4096):
                    answer += piece
            return answer.split(b"\r\n", 1)[0]
        self.assertEqual(ask(16384), b"HTTP/1.1 200 OK")
        self.assertEqual(ask(16385), b"HTTP/1.1 431 Request Header Fields Too Large")

    def test_a_batch_of_balances_is_of_one_moment(self):
        # Every transaction moves both kinds of an account by the same, and the accounts in their
        # order: at each moment the kinds are equal, and no account is behind a later one.
        accounts = [self.fresh("moment") for _ in range(8)]
        stop = threading.Event()

        def write():
            round_number = 0
            while not stop.is_set():
                commands = [{"add": add(f"{account}-{round_number}", account, points=1, money=1)}
                            for account in accounts]
                status, _, _ = self.server.call("Submit", {"commands": commands})
                assert status == 200
                round_number += 1
            return round_number
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            writer = pool.submit(write)
            try:
                seen = set()
                while len(seen) < 60:
                    _, _, answer = self.server.call("BatchGetBalances",
                                                    {"accountIds": accounts * 125})
                    told = [tuple(int(each["available"]) for each in account["balances"]
                                  if each["kind"] in ("points", "money"))
                            for account in answer["accounts"]]
                    self.assertEqual(told, told[:8] * 125)
                    self.assertTrue(all(points == money for points, money in told), told[:8])
                    points = [each for each, _ in told[:8]]
                    self.assertEqual(points, sorted(points, reverse=True))
                    self.assertLessEqual(points[0] - points[-1], 1)
                    seen.add(tuple(points))
            finally:
                stop.set()
            n_rounds = writer.result()  # the last one may still be under way
            self.assertEqual(self.server.balance(accounts[-1]), n_rounds)


class Walks(unittest.TestCase):
    ENTRIES = 2600

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.__exit__, None, None, None)
        cls.server.start()
        cls.grpc = Grpc(cls.server.address)
        cls.addClassCleanup(cls.grpc.close)
        # Two of three are Adds of points; each third consumes points and brings in no money, but
        # each hundredth Add brings in money instead.
        commands = []
        for i in range(cls.ENTRIES):
            if i % 3 == 2:
                commands.append({"consume": add(f"w-{i}", "walker", points=1)})
            elif i % 100 == 0:
                commands.append({"add": add(f"w-{i}", "walker", money=1)})
            else:
                commands.append({"add": add(f"w-{i}", "walker", points=1)})
        for at in range(0, len(commands), 1000):
            _, _, answer = cls.server.call("Submit", {"commands": commands[at:at + 1000]})
            assert not [each for each in answer["results"] if "error" in each]
        cls.all = cls.walk(page_size=1000)[0]

    @classmethod
    def page(cls, account="walker", page_size=0, token="", **filters):
        raw, _ = cls.grpc.call("ListEntries", cls.grpc.messages.ListEntriesRequest(
            account_id=account, page_size=page_size, page_token=token, **filters))
        return cls.grpc.messages.ListEntriesResponse.FromString(raw)

    @classmethod
    def walk(cls, account="walker", pages_max=5000, **options):
        """(all entries, the length of each page)"""
        entries, lengths, token = [], [], ""
        for _ in range(pages_max):
            page = cls.page(account, token=token, **options)
            entries += page.entries
            lengths.append(len(page.entries))
            token = page.next_page_token
            if not token:
                return entries, lengths
        raise AssertionError("the walk does not end")

    def refused(self, **options):
        with self.assertRaises(self.grpc.grpc.RpcError) as raised:
            self.page(**options)
        return self.grpc.error_info(raised.exception)[0].reason

    def test_a_walk_gives_every_entry_once_newest_first_whatever_the_size_of_its_pages(self):
        self.assertEqual([each.sequence for each in self.all], list(range(self.ENTRIES, 0, -1)))
        self.assertEqual([each.transaction_id for each in self.all],
                         [f"w-{i}" for i in reversed(range(self.ENTRIES))])
        for size, pages in [(7, 372), (50, 52), (0, 52), (999, 3), (1000, 3), (1001, 3),
                            (2**31 - 1, 3)]:
            entries, lengths = self.walk(page_size=size)
            self.assertEqual(entries, self.all, size)
            self.assertIn(len(lengths), (pages, pages + 1))
            self.assertEqual(lengths[0], min(size or 50, 1000))
        entries, lengths = self.walk(page_size=1, kinds=["money"])
        self.assertEqual(len(entries), len([each for each in self.all if each.kind == "money"]))
        self.assertEqual(max(lengths), 1)
        self.assertEqual(self.refused(page_size=-1), "INVALID_REQUEST")

    def test_filters_choose_and_keep_the_order(self):
        first, last = self.all[-1].create_time, self.all[0].create_time
        middle = self.all[1300].create_time

        def moment(entry):
            return entry.create_time.ToNanoseconds()
        for filters, chosen in [
                ({"kinds": ["money"]}, lambda each: each.kind == "money"),
                ({"kinds": ["money", "points"]}, lambda each: True),
                ({"kinds": ["nosuch"]}, lambda each: False),
                ({"operations": [2]}, lambda each: each.operation == 2),
                ({"operations": [1], "kinds": ["points"]},
                 lambda each: each.operation == 1 and each.kind == "points"),
                ({"operations": [2], "kinds": ["money"]}, lambda each: False),
                ({"operations": [9]}, lambda each: False),
                ({"start_time": middle}, lambda each: moment(each) >= middle.ToNanoseconds()),
                ({"end_time": middle}, lambda each: moment(each) < middle.ToNanoseconds()),
                ({"start_time": middle, "end_time": middle}, lambda each: False),
                ({"start_time": last, "end_time": first}, lambda each: False)]:
            expected = [each for each in self.all if chosen(each)]
            for size in [13, 1000]:
                entries, lengths = self.walk(page_size=size, **filters)
                self.assertEqual(entries, expected, filters)
                self.assertLessEqual(max(lengths), size)

    def test_the_size_of_pages_may_change_during_a_walk(self):
        chooser, entries, token = random.Random(7), [], ""
        while True:
            page = self.page(page_size=chooser.choice([1, 3, 50, 333, 1000]), token=token)
            entries += page.entries
            token = page.next_page_token
            if not token:
                break
        self.assertEqual(entries, self.all)

    def test_a_token_is_refused_when_anything_of_it_is_changed(self):
        token = self.page(page_size=10).next_page_token
        self.assertEqual(len(self.page(page_size=10, token=token).entries), 10)
        alphabet = string.ascii_letters + string.digits + "-_=+/ %"
        chooser = random.Random(3)
        changed = {token[:i] + letter + token[i + 1:] for i in range(len(token))
                   for letter in chooser.sample(alphabet, 6) + ["A"]}
        changed |= {token[:-1] + letter for letter in alphabet}
        changed |= {token[:i] + token[i + 1:] for i in range(len(token))}
        changed |= {token + letter for letter in alphabet} | {letter + token for letter in alphabet}
        changed |= {token * 2, token[::-1], "x" * 129, "x" * 100000, "\u3042", token + "="}
        for each in changed - {token}:
            self.assertEqual(self.refused(page_size=10, token=each), "INVALID_REQUEST", each[:100])

    def test_a_token_goes_with_its_account_and_filters_only(self):
        filters = {"kinds": ["points"], "operations": [1]}
        token = self.page(page_size=10, **filters).next_page_token
        self.assertTrue(self.page(page_size=20, token=token, **filters).entries)
        # The order of a filter and a repeat in it mean nothing.
        self.assertTrue(self.page(token=token, kinds=["points", "points"], operations=[1, 1]).entries)
        for other in [{}, {"kinds": ["points"]}, {"kinds": ["money"], "operations": [1]},
                      {"kinds": ["points"], "operations": [2]},
                      {"kinds": ["points", "money"], "operations": [1]},
                      {**filters, "start_time": self.all[-1].create_time},
                      {**filters, "end_time": self.all[0].create_time},
                      {**filters, "account": "other"}]:
            self.assertEqual(self.refused(token=token, **other), "INVALID_REQUEST", other)

    def test_a_token_outlives_a_restart(self):
        with Server() as server:
            for i in range(3):
                server.call("Add", add(f"t{i}", points=1))
            _, _, page = server.call("ListEntries", {"accountId": "alice", "pageSize": 1})
            self.assertEqual(server.stop(), 0)
            server.start()
            _, _, rest = server.call("ListEntries", {"accountId": "alice",
                                                     "pageToken": page["nextPageToken"]})
            self.assertEqual([each["transactionId"] for each in rest["entries"]], ["t1", "t0"])

    def test_a_walk_while_others_write_loses_and_repeats_nothing(self):
        account = "busy"
        for i in range(300):
            self.grpc.add(f"busy-old-{i}", account, points=1)
        stop = threading.Event()

        def write(writer):
            i = 0
            while not stop.is_set():
                self.grpc.add(f"busy-{writer}-{i}", account, points=1)
                i += 1
            return i
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            writers = [pool.submit(write, writer) for writer in range(3)]
            try:
                for _ in range(10):
                    entries, _ = self.walk(account, page_size=7)
                    newest = entries[0].sequence
                    self.assertEqual([each.sequence for each in entries],
                                     list(range(newest, 0, -1)))
                    self.assertEqual(entries[0].balance_after, newest)
            finally:
                stop.set()
            written = 300 + sum(writer.result() for writer in writers)
        entries, _ = self.walk(account, page_size=1000)
        self.assertEqual(len({each.transaction_id for each in entries}), written)

    def test_a_filter_that_few_entries_meet_makes_short_pages_and_an_end(self):
        account, rare = "rare", []
        for call in range(21):
            self.server.call("Submit", {"commands": [
                {"add": add(f"rare-{call}-{i}", account, points=1)} for i in range(1000)]})
            if call in (0, 10):
                self.grpc.add(f"rare-money-{call}", account, money=1)
                rare.insert(0, f"rare-money-{call}")
        entries, lengths = self.walk(account, page_size=10, kinds=["money"])
        self.assertEqual([each.transaction_id for each in entries], rare)
        self.assertLessEqual(len(lengths), 5)
        self.assertGreater(len(lengths), 1)


if __name__ == "__main__":
    unittest.main()
