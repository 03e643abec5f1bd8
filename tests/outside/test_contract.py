#!/usr/bin/python3
"""The promises of docs/contract.md, seen from outside: the real binary, called as any client does,
by JSON over HTTP/1.1 and by grpcio."""
import concurrent.futures
import json
import socket
import threading
import unittest

from server import Grpc, Server, add, reason

KINDS = """
[kind.points]
max_balance = 1000000
max_amount = 100000
[kind.money]
"""


class Contract(unittest.TestCase):
    def setUp(self):
        self.server = self.enterContext(Server(KINDS))
        self.grpc = Grpc(self.server.address)
        self.addCleanup(self.grpc.close)

    def enterContext(self, manager):
        value = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return value

    def assertRefused(self, call, name, applied="no", retry="after_change", status=400):
        got, _, answer = call
        self.assertEqual((got, *reason(answer)), (status, name, applied, retry), answer)

    def test_3_1_an_id_is_taken_as_it_is_or_refused(self):
        good = ["a", "A", "x" * 64, "!", "~", "order-8812/pay:1"]
        for transaction_id in good:
            status, _, answer = self.server.call("Add", add(transaction_id, points=1))
            self.assertEqual((status, answer["transactionId"]), (200, transaction_id))
        self.assertEqual(self.server.balance("alice"), len(good))  # "a" and "A" are two
        bad = ["", "x" * 65, "a b", " a", "a ", "a\u0000b", "a\u0000", "\u00e9", "a\n", "\u007f",
               "zandaka:1", "zandaka:"]
        for transaction_id in bad:
            self.assertRefused(self.server.call("Add", add(transaction_id, points=1)),
                               "INVALID_REQUEST", retry="never")
        self.assertEqual(self.server.balance("alice"), len(good))

    def test_3_2_a_transaction_is_processed_once(self):
        for _ in range(5):
            self.server.call("Add", add("t", points=7))
        self.assertEqual(self.server.balance("alice"), 7)
        _, _, history = self.server.call("ListEntries", {"accountId": "alice"})
        self.assertEqual(len(history["entries"]), 1)

    def test_3_3_no_business_check_runs_on_a_replay(self):
        self.server.call("Add", add("t1", points=100))
        first = self.server.post("Consume", json.dumps(add("t2", points=100)).encode())
        again = self.server.post("Consume", json.dumps(add("t2", points=100)).encode())
        self.assertEqual(self.server.balance("alice"), 0)
        self.assertEqual((first[0], first[2]), (again[0], again[2]))
        self.assertNotIn("zandaka-replayed", first[1])
        self.assertEqual(again[1]["zandaka-replayed"], "true")

    def test_3_3_replays_outlive_a_withdrawn_kind_and_a_lowered_limit(self):
        body = b'{"transactionId":"t","accountId":"alice","amounts":[{"kind":"points","amount":500}]}'
        first = self.server.post("Add", body)
        self.assertEqual(self.server.stop(), 0)
        self.server.config.write_text("[kind.points]\nwithdrawn = yes\nmax_amount = 1\n[kind.money]\n")
        self.server.start()
        again = self.server.post("Add", body)
        self.assertEqual((again[0], again[2]), (200, first[2]))
        self.assertRefused(self.server.call("Add", add("t2", points=1)), "UNKNOWN_KIND")
        self.assertEqual(self.server.balance("alice"), 500)

    def test_3_4_the_answer_is_the_same_byte_for_byte(self):
        request = self.grpc.messages.AddRequest(transaction_id="t", account_id="alice",
                                                description="\u6b8b\u9ad8",
                                                metadata={"b": "2", "a": "1"})
        request.amounts.add(kind="money", amount=5)
        request.amounts.add(kind="points", amount=6)
        first, replayed = self.grpc.call("Add", request)
        self.assertFalse(replayed)
        self.grpc.add("t9", "alice", money=1)
        again, replayed = self.grpc.call("Add", request)
        self.assertTrue(replayed)
        self.assertEqual(first, again)
        self.server.kill()
        self.server.start(self.server.address)
        self.grpc.reconnect()
        after, replayed = self.grpc.call("Add", request)
        self.assertTrue(replayed)
        self.assertEqual(first, after)
        found, _ = self.grpc.call("GetTransaction",
                                  self.grpc.messages.GetTransactionRequest(transaction_id="t"))
        self.assertEqual(first, found)
        message = self.grpc.transaction.Transaction.FromString(first)
        self.assertEqual([(leg.kind, leg.amount) for leg in message.legs],
                         [("money", 5), ("points", 6)])

    def test_3_5_other_content_is_rejected_and_labels_are_not_content(self):
        self.server.call("Add", {**add("t", points=100, money=5), "description": "first"})
        for other, fields in [
                (add("t", points=101, money=5), "amounts"),
                (add("t", points=100), "amounts"),
                (add("t", account="bob", points=100, money=5), "account_id")]:
            status, _, answer = self.server.call("Add", other)
            self.assertEqual(status, 400)
            self.assertEqual(reason(answer), ("TRANSACTION_ID_REUSED", "no", "never"))
            self.assertEqual(answer["details"][0]["debug"]["metadata"]["fields"], fields)
            self.assertNotIn("100", str(answer["message"]))
        _, _, answer = self.server.call("Consume", add("t", points=100, money=5))
        self.assertIn("operation", answer["details"][0]["debug"]["metadata"]["fields"])
        status, headers, answer = self.server.call(
            "Add", {**add("t", money=5, points=100), "description": "second"})
        self.assertEqual((status, headers.get("zandaka-replayed")), (200, "true"))
        self.assertEqual(answer["description"], "first")
        self.assertEqual([leg["kind"] for leg in answer["legs"]], ["points", "money"])
        self.assertEqual(self.server.balance("alice"), 100)

    def test_3_5_an_unknown_field_in_a_write_is_refused_on_every_wire(self):
        self.assertRefused(self.server.call("Add", {**add("t", points=1), "surprise": 1}),
                           "INVALID_REQUEST", retry="never")
        raw = self.grpc.messages.AddRequest(transaction_id="t", account_id="alice")
        raw.amounts.add(kind="points", amount=1)
        send = self.grpc.channel.unary_unary("/zandaka.v1.BalanceService/Add")
        with self.assertRaises(self.grpc.grpc.RpcError) as raised:
            send(raw.SerializeToString() + b"\xf8\x07\x01", timeout=30)
        self.assertEqual(raised.exception.code(), self.grpc.grpc.StatusCode.INVALID_ARGUMENT)
        self.assertEqual(self.server.balance("alice"), 0)

    def test_3_6_a_failure_does_not_use_up_the_id(self):
        self.assertRefused(self.server.call("Consume", add("t", points=10)),
                           "INSUFFICIENT_BALANCE")
        status, _, answer = self.server.call("GetTransaction", {"transactionId": "t"})
        self.assertEqual((status, reason(answer)),
                         (404, ("TRANSACTION_NOT_FOUND", "no", "after_change")))
        self.server.call("Add", add("top-up", points=10))
        status, headers, _ = self.server.call("Consume", add("t", points=10))
        self.assertEqual((status, headers.get("zandaka-replayed")), (200, None))

    def test_3_7_cancel_is_the_fence(self):
        first = self.server.post("Cancel", b'{"transactionId":"t"}')
        again = self.server.post("Cancel", b'{"transactionId":"t"}')
        self.assertEqual((first[0], first[2]), (200, again[2]))
        self.assertIn(b'"state":"STATE_CANCELLED"', first[2])
        self.assertIsNone(first[1].get("zandaka-replayed"))
        self.assertEqual(again[1].get("zandaka-replayed"), "true")
        self.assertRefused(self.server.call("Add", add("t", points=1)), "TRANSACTION_CANCELLED",
                           retry="never")
        self.server.call("Add", add("done", points=1))
        self.assertRefused(self.server.call("Cancel", {"transactionId": "done"}),
                           "TRANSACTION_SUCCEEDED", retry="never")
        self.assertEqual(self.server.balance("alice"), 1)

    def test_3_7_a_fence_and_an_attempt_race_and_one_is_first(self):
        for i in range(30):
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                attempt = pool.submit(self.server.call, "Add", add(f"race-{i}", f"r{i}", points=5))
                fence = pool.submit(self.server.call, "Cancel", {"transactionId": f"race-{i}"})
                attempt, fence = attempt.result(), fence.result()
            if attempt[0] == 200:
                self.assertRefused(fence, "TRANSACTION_SUCCEEDED", retry="never")
            else:
                self.assertRefused(attempt, "TRANSACTION_CANCELLED", retry="never")
                self.assertEqual(fence[0], 200)
            self.assertEqual(self.server.balance(f"r{i}"), 5 if attempt[0] == 200 else 0)

    def test_3_8_equal_requests_at_once_are_all_told_of_the_one_success(self):
        for i in range(10):
            account = f"once-{i}"
            self.grpc.add(f"top-{i}", account, points=100)
            barrier = threading.Barrier(64)

            def consume(account=account, i=i, barrier=barrier):
                barrier.wait()
                return self.grpc.consume(f"pay-{i}", account, points=100)

            with concurrent.futures.ThreadPoolExecutor(64) as pool:
                answers = [each.result() for each in [pool.submit(consume) for _ in range(64)]]
            self.assertEqual(len({answer for answer, _ in answers}), 1)
            self.assertEqual(sum(not replayed for _, replayed in answers), 1)
            self.assertEqual(self.server.balance(account), 0)

    def test_3_8_equal_commands_in_one_submit_too(self):
        self.server.call("Add", add("top", points=100))
        commands = [{"consume": add("pay", points=100)} for _ in range(50)]
        _, _, answer = self.server.call("Submit", {"commands": commands})
        self.assertEqual(len(answer["results"]), 50)
        self.assertEqual(len({str(each["transaction"]) for each in answer["results"]}), 1)
        self.assertEqual(sum(not each.get("replayed", False) for each in answer["results"]), 1)
        self.assertEqual(self.server.balance("alice"), 0)

    def test_3_9_all_legs_happen_or_none(self):
        self.server.call("Add", add("top", points=100, money=5))
        call = self.server.call("Consume", add("pay", points=100, money=6))
        self.assertRefused(call, "INSUFFICIENT_BALANCE")
        self.assertEqual(call[2]["details"][0]["debug"]["metadata"]["kind"], "money")
        self.assertEqual((self.server.balance("alice"), self.server.balance("alice", "money")),
                         (100, 5))
        self.server.call("Consume", add("pay", points=100, money=5))
        self.assertEqual((self.server.balance("alice"), self.server.balance("alice", "money")),
                         (0, 0))

    def test_3_10_amounts_at_the_limit_and_one_past(self):
        most = 10**15
        self.assertEqual(self.server.call("Add", add("t1", money=str(most)))[0], 200)
        for bad in [0, -1, str(most + 1), most + 1]:
            self.assertRefused(self.server.call("Add", add("t2", money=bad)), "INVALID_REQUEST",
                               retry="never")
        for bad in ["1.0", "1e3", "+1", " 1", "01", "", "0x1", True, 1.5, None, [], {}]:
            self.assertRefused(self.server.call("Add", add("t3", money=bad)), "INVALID_REQUEST",
                               retry="never")
        self.assertEqual(self.server.call("Add", add("t4", points=100000))[0], 200)
        self.assertRefused(self.server.call("Add", add("t5", points=100001)),
                           "AMOUNT_LIMIT_EXCEEDED")
        for i in range(9):
            self.assertEqual(self.server.call("Add", add(f"t6-{i}", points=100000))[0], 200)
        self.assertRefused(self.server.call("Add", add("t7", points=1)), "BALANCE_LIMIT_EXCEEDED")
        self.assertEqual(self.server.balance("alice"), 1000000)
        self.assertEqual(self.server.balance("alice", "money"), most)

    def test_3_10_a_balance_never_leaves_int64(self):
        # int64 reaches 9,223 times the largest amount: nine full Submits are 9,216 of them.
        most = str(10**15)
        for call in range(9):
            _, _, answer = self.server.call("Submit", {"commands": [
                {"add": add(f"{call}-{i}", money=most)} for i in range(1024)]})
            self.assertFalse([each for each in answer["results"] if "error" in each])
        _, _, answer = self.server.call("Submit", {"commands": [
            {"add": add(f"last-{i}", money=most)} for i in range(8)]})
        refused = [each["error"] for each in answer["results"] if "error" in each]
        self.assertEqual([each["details"][0]["reason"] for each in refused],
                         ["BALANCE_LIMIT_EXCEEDED"])
        self.assertEqual(self.server.balance("alice", "money"), 9223 * 10**15)

    def test_3_11_what_was_handed_over_finishes_without_its_caller(self):
        host, port = self.server.address.rsplit(":", 1)
        for i in range(20):
            body = json.dumps(add(f"left-{i}", points=1)).encode()
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(b"POST /zandaka.v1.BalanceService/Add HTTP/1.1\r\nhost: x\r\n"
                                   b"content-type: application/json\r\ncontent-length: "
                                   + str(len(body)).encode() + b"\r\n\r\n" + body)
            # Whether the server had it before the caller was gone is a race. The fence settles it.
            fenced, _, _ = self.server.call("Cancel", {"transactionId": f"left-{i}"})
            status, _, found = self.server.call("GetTransaction", {"transactionId": f"left-{i}"})
            self.assertEqual(status, 200)
            self.assertEqual(found["state"],
                             "STATE_CANCELLED" if fenced == 200 else "STATE_SUCCEEDED")
        _, _, history = self.server.call("ListEntries", {"accountId": "alice"})
        self.assertEqual(self.server.balance("alice"), len(history.get("entries", [])))

    def test_3_13_an_account_s_history_is_in_order_of_time(self):
        for i in range(20):
            self.server.call("Add", add(f"t{i}", points=1))
        _, _, history = self.server.call("ListEntries", {"accountId": "alice"})
        # The fraction has three digits or six, as it needs them.
        parts = [each["createTime"].rstrip("Z").partition(".") for each in history["entries"]]
        times = [(seconds, fraction.ljust(6, "0")) for seconds, _, fraction in parts]
        self.assertEqual(times, sorted(times, reverse=True))
        self.assertEqual([int(each["sequence"]) for each in history["entries"]],
                         list(range(20, 0, -1)))

    def test_3_12_a_success_survives_the_plug(self):
        for i in range(5):
            self.grpc.add(f"t{i}", "alice", points=1)
            self.server.kill()
            self.server.start(self.server.address)
            self.grpc.reconnect()
            self.assertEqual(self.server.balance("alice"), i + 1)

    def test_3_14_the_commands_of_a_submit_take_effect_in_their_order(self):
        _, _, answer = self.server.call("Submit", {"commands": [
            {"consume": add("a", points=10)}, {"add": add("b", points=10)},
            {"consume": add("c", points=10)}, {"cancel": {"transactionId": "a"}},
            {"consume": add("a", points=10)}, {"cancel": {"transactionId": "b"}},
            {"add": add("", points=1)}, {}]})
        outcome = [each["transaction"]["state"] if "transaction" in each
                   else each["error"]["details"][0]["reason"] for each in answer["results"]]
        self.assertEqual(outcome, [
            "INSUFFICIENT_BALANCE", "STATE_SUCCEEDED", "STATE_SUCCEEDED", "STATE_CANCELLED",
            "TRANSACTION_CANCELLED", "TRANSACTION_SUCCEEDED", "INVALID_REQUEST",
            "INVALID_REQUEST"])

    def test_4_the_order_of_checks_is_fixed(self):
        # Unknown kind before limits before balance, each over all amounts first.
        both = add("t", points=100001, nosuch=1)
        self.assertRefused(self.server.call("Consume", both), "UNKNOWN_KIND")
        self.assertRefused(self.server.call("Consume", add("t", money=1, points=100001)),
                           "AMOUNT_LIMIT_EXCEEDED")
        self.server.call("Cancel", {"transactionId": "c"})
        self.assertRefused(self.server.call("Add", add("c", nosuch=1)), "TRANSACTION_CANCELLED",
                           retry="never")

    def test_4_errors_say_over_grpc_what_they_say_in_json(self):
        with self.assertRaises(self.grpc.grpc.RpcError) as raised:
            self.grpc.consume("t", "alice", points=1)
        error = raised.exception
        self.assertEqual(error.code(), self.grpc.grpc.StatusCode.FAILED_PRECONDITION)
        self.assertEqual(error.details(), "account has too little points")
        info, _ = self.grpc.error_info(error)
        self.assertEqual((info.reason, info.domain, dict(info.metadata)),
                         ("INSUFFICIENT_BALANCE", "zandaka",
                          {"applied": "no", "retry": "after_change", "kind": "points"}))
        with self.assertRaises(self.grpc.grpc.RpcError) as raised:
            self.grpc.consume("", "alice", points=0)
        error = raised.exception
        self.assertIn(("grpc-retry-pushback-ms", "-1"), error.trailing_metadata())
        _, details = self.grpc.error_info(error)
        self.assertEqual(sorted(each.type_url for each in details),
                         ["type.googleapis.com/google.rpc.BadRequest",
                          "type.googleapis.com/google.rpc.ErrorInfo"])


if __name__ == "__main__":
    unittest.main()
