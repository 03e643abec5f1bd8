#!/usr/bin/python3
"""Starting and stopping: SIGTERM under load, again and again, without one wrong word to a client; and
what serve says when it cannot start.

ZANDAKA_DRAINS (10) says how often it is stopped under load.
"""
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import unittest

from server import BINARY, SERVICE, Grpc, Server, add, reason

ROUNDS = int(os.environ.get("ZANDAKA_DRAINS", "10"))
CALLERS = 6  # of each protocol
ANSWERS_BEFORE_SIGNAL = 150


class Caller(threading.Thread):
    """Adds 1 under one fresh id after another, each sent once, until the server is gone. What it was
    told of each id is kept: `done`, `not done` (applied=no), or `unknown`."""

    def __init__(self, number, round_number, answered):
        super().__init__(name=f"caller {number}")
        self.account = f"account-{number}"
        self.prefix = f"{number}-{round_number}"
        self.answered = answered
        self.done = {}
        self.not_done = set()
        self.unknown = set()
        self.wrong = []

    def run(self):
        i = 0
        while True:
            transaction_id = f"{self.prefix}-{i}"
            i += 1
            try:
                self.done[transaction_id] = self.send(transaction_id)
                self.answered.release()
            except Refused as refused:
                (self.not_done if refused.args[0] == "no" else self.unknown).add(transaction_id)
                if refused.args[1] not in ("SHUTTING_DOWN", "STORE_UNAVAILABLE"):
                    self.wrong.append(refused.args)
                return
            except Gone:
                self.unknown.add(transaction_id)
                return


class Refused(Exception):
    """(applied, reason)"""


class Gone(Exception):
    pass


class GrpcCaller(Caller):
    def __init__(self, number, round_number, answered, address):
        super().__init__(number, round_number, answered)
        self.grpc = Grpc(address)

    def send(self, transaction_id):
        try:
            answer, replayed = self.grpc.add(transaction_id, self.account, points=1)
        except self.grpc.grpc.RpcError as error:
            info, _ = self.grpc.error_info(error)
            if info.reason:
                raise Refused(info.metadata["applied"], info.reason) from error
            if error.code() != self.grpc.grpc.StatusCode.UNAVAILABLE:
                self.wrong.append((error.code(), error.details()))
            raise Gone from error
        if replayed:
            self.wrong.append(f"{transaction_id} is told to be a replay")
        return self.grpc.transaction.Transaction.FromString(answer).transaction_id

    def close(self):
        self.grpc.close()


class JsonCaller(Caller):
    def __init__(self, number, round_number, answered, address):
        super().__init__(number, round_number, answered)
        self.connection = http.client.HTTPConnection(address, timeout=60)

    def send(self, transaction_id):
        body = json.dumps(add(transaction_id, self.account, points=1)).encode()
        try:
            self.connection.request("POST", SERVICE + "Add", body,
                                    {"content-type": "application/json"})
            answer = self.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Gone from error
        message = json.loads(text)
        if answer.status != 200:
            name, applied, _ = reason(message)
            raise Refused(applied, name)
        if answer.getheader("zandaka-replayed"):
            self.wrong.append(f"{transaction_id} is told to be a replay")
        return message["transactionId"]

    def close(self):
        self.connection.close()


class Shutdown(unittest.TestCase):
    def start(self, *arguments, **options):
        server = Server(*arguments, **options)
        self.addCleanup(server.__exit__, None, None, None)
        return server.start()

    def connect(self, server):
        host, port = server.address.rsplit(":", 1)
        connection = socket.create_connection((host, int(port)), timeout=60)
        self.addCleanup(connection.close)
        return connection

    def test_sigterm_under_load_contradicts_no_answer(self):
        server = self.start()
        totals = {f"account-{number}": 0 for number in range(2 * CALLERS)}
        counts = {"done": 0, "not done": 0, "unknown": 0, "unknown and recorded": 0}
        for round_number in range(ROUNDS):
            answered = threading.Semaphore(0)
            callers = [kind(2 * i + j, round_number, answered, server.address)
                       for i in range(CALLERS) for j, kind in enumerate([GrpcCaller, JsonCaller])]
            for caller in callers:
                caller.start()
            for _ in range(ANSWERS_BEFORE_SIGNAL):
                answered.acquire()
            self.assertEqual(server.stop(), 0)
            for caller in callers:
                caller.join()
                caller.close()
            server.start(server.address)
            grpc = Grpc(server.address)
            for caller in callers:
                recorded = self.judge(grpc, caller, totals)
                counts["done"] += len(caller.done)
                counts["not done"] += len(caller.not_done)
                counts["unknown"] += len(caller.unknown)
                counts["unknown and recorded"] += len(caller.unknown & recorded)
            grpc.close()
            for account, total in totals.items():
                self.assertEqual(server.balance(account), total)
        print(f"{ROUNDS} stops: {counts}", flush=True)
        # A drain answers whatever it has taken.
        self.assertEqual(counts["unknown and recorded"], 0)
        self.assertEqual(server.stop(), 0)
        self.assertNotIn("cut", server.log_text())
        verified = server.verify()
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)

    def judge(self, grpc, caller, totals):
        self.assertEqual(caller.wrong, [])
        recorded = self.recorded(grpc, [*caller.done, *caller.not_done, *caller.unknown])
        self.assertEqual(set(caller.done) - recorded, set(), "answered as done, and is not there")
        self.assertEqual(caller.not_done & recorded, set(), "answered as not done, and is there")
        for transaction_id, answer in caller.done.items():
            self.assertEqual(transaction_id, answer)
        totals[caller.account] += len(recorded)
        return recorded

    def recorded(self, grpc, transaction_ids):
        read = grpc.method("GetTransaction")
        calls = [(each, read.future(
            grpc.messages.GetTransactionRequest(transaction_id=each), timeout=60))
            for each in transaction_ids]
        found = {each for each, call in calls if call.code() == grpc.grpc.StatusCode.OK}
        missing = {call.code() for each, call in calls if each not in found}
        self.assertLessEqual(missing, {grpc.grpc.StatusCode.NOT_FOUND})
        return found

    def test_a_draining_server_finishes_what_was_begun_and_says_that_it_is_not_ready(self):
        server = self.start()
        idle = self.connect(server)
        idle.sendall(b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n")
        self.assertIn(b" 200 OK\r\n", idle.recv(1000))
        body = json.dumps(add("begun", points=5)).encode()
        begun = self.connect(server)
        begun.sendall(f"POST {SERVICE}Add HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                      f"content-length: {len(body)}\r\n\r\n".encode() + body[:10])
        asking = self.connect(server)
        asking.sendall(b"GET /readyz HTTP/1.1\r\nhost: x\r\n")
        # All three are served once this is answered on a fourth: each is read before.
        self.assertEqual(server.get("/livez"), (200, b"ok"))
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(idle.recv(1000), b"")  # it drains: who is idle is sent away
        asking.sendall(b"\r\n")
        answer = asking.makefile("rb").read()
        self.assertTrue(answer.startswith(b"HTTP/1.1 503 "), answer)
        self.assertIn(b"\r\nconnection: close\r\n", answer)
        self.assertTrue(answer.endswith(b"draining"), answer)
        begun.sendall(body[10:])
        answer = begun.makefile("rb").read()
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer)
        self.assertEqual(server.process.wait(timeout=60), 0)
        server.start()
        self.assertEqual(server.balance("alice"), 5)

    def test_who_never_ends_a_request_cannot_hold_the_server_up(self):
        server = self.start()
        half = self.connect(server)
        half.sendall(f"POST {SERVICE}Add HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n1".encode())
        self.assertEqual(server.get("/livez"), (200, b"ok"))
        self.assertEqual(server.stop(), 0)

    def test_sigint_stops_as_sigterm_does(self):
        server = self.start()
        server.call("Add", add("t", points=1))
        server.process.send_signal(signal.SIGINT)
        self.assertEqual(server.process.wait(timeout=60), 0)

    # --- starting ---

    def serve(self, *arguments):
        return subprocess.run([BINARY, "serve", *arguments], capture_output=True, text=True,
                              timeout=60)

    def test_a_second_server_on_the_same_directory_is_refused(self):
        server = self.start()
        server.call("Add", add("t", points=1))
        second = self.serve("--listen", "127.0.0.1:0", "--store", server.store)
        self.assertEqual(second.returncode, 1, second.stderr)
        self.assertRegex(second.stderr, r"in use by another process")
        self.assertIn(server.store.partition(":")[2], second.stderr)
        self.assertEqual(server.balance("alice"), 1)
        verified = server.verify()
        self.assertEqual(verified.returncode, 1)
        self.assertRegex(verified.stdout + verified.stderr, r"in use")

    def test_a_port_that_is_taken_is_refused(self):
        server = self.start()
        store = server.directory / "second"
        second = self.serve("--listen", server.address, "--store", f"rocksdb:{store}")
        self.assertEqual(second.returncode, 1, second.stderr)
        self.assertIn(f"cannot listen on {server.address}", second.stderr)
        self.assertEqual(server.get("/livez"), (200, b"ok"))

    def test_only_loopback_is_listened_on_without_tls(self):
        directory = self.start().directory
        for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "10.0.0.1:8630"]:
            store = directory / "never"
            refused = self.serve("--listen", listen, "--store", f"rocksdb:{store}")
            self.assertEqual(refused.returncode, 2, (listen, refused.stderr))
            self.assertIn("loopback", refused.stderr)
            self.assertFalse(store.exists())
        for listen in ["127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:x", ":", ""]:
            refused = self.serve("--listen", listen, "--store", "memory:")
            self.assertIn(refused.returncode, (1, 2), (listen, refused.stderr))
            self.assertTrue(refused.stderr)

    def test_the_address_file_tells_the_address_once_it_answers(self):
        server = self.start()
        text = (server.directory / "address").read_text()
        self.assertRegex(text, r"^127\.0\.0\.1:[1-9][0-9]*\n$")
        self.assertEqual(server.get("/readyz"), (200, b"ok"))
        self.assertEqual([each.name for each in server.directory.glob("address*")], ["address"])
        refused = self.serve("--listen", "127.0.0.1:0", "--store", "memory:", "--address-file",
                             str(server.directory / "no" / "such" / "address"))
        self.assertEqual(refused.returncode, 1, refused.stderr)
        self.assertIn("address", refused.stderr)


if __name__ == "__main__":
    unittest.main()
