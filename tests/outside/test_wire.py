#!/usr/bin/python3
"""What comes over the wire and should not: garbage, half requests, smuggled ones; and gRPC as
grpcio speaks it: deadlines, cancellation, sizes, compression, hand-made messages. Through all of it a
quiet connection gets its answers, and the server neither ends nor grows."""
import concurrent.futures
import http.client
import os
import random
import resource
import socket
import subprocess
import shutil
import struct
import threading
import time
import unittest

from server import SERVICE, Grpc, Server

SEED = int(os.environ.get("ZANDAKA_SEED", "0")) or random.randrange(1, 1 << 32)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\x04\0\0\0\0\0"
# What a server may have taken on top of an idle one once a flood is over: allocators keep some.
GROWTH_MAX_BYTES = 64 << 20
REQUEST_TIMEOUT_S = 30


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(
        ">I", stream) + payload


def literal(name, value):
    """A header field for HPACK, without the table and without Huffman."""
    assert len(name) < 127 and len(value) < 127
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def grpc_headers(method, *more):
    fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"x"),
              (b":path", (SERVICE + method).encode()), (b"content-type", b"application/grpc"),
              (b"te", b"trailers"), *more]
    return b"".join(literal(*field) for field in fields)


class Wire(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.__exit__, None, None, None)
        self.server.start()
        self.quiet = http.client.HTTPConnection(self.server.address, timeout=30)
        self.addCleanup(self.quiet.close)
        self.assertQuietIsAnswered()
        self.quiet_socket = self.quiet.sock

    def assertQuietIsAnswered(self):
        self.quiet.request("POST", SERVICE + "GetBalance", b'{"accountId":"quiet"}',
                           {"content-type": "application/json"})
        answer = self.quiet.getresponse()
        self.assertEqual((answer.status, answer.read()[:20]), (200, b'{"accountId":"quiet"'))

    def assertUnharmed(self):
        self.assertQuietIsAnswered()
        self.assertIs(self.quiet.sock, self.quiet_socket)
        self.assertIsNone(self.server.process.poll())

    def memory_bytes(self):
        with open(f"/proc/{self.server.process.pid}/status") as status:
            line = next(line for line in status if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def connect(self):
        host, port = self.server.address.rsplit(":", 1)
        connection = socket.create_connection((host, int(port)), timeout=30)
        self.addCleanup(connection.close)
        return connection

    def drained(self, connection):
        """All that the server still says until it closes; a reset is a close too."""
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionError:
            pass
        connection.close()
        return answer

    def send(self, data, end_of_input=True):
        connection = self.connect()
        try:
            connection.sendall(data)
            if end_of_input:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it was closed before all was sent
        return self.drained(connection)


class Garbage(Wire):
    def test_garbage_closes_its_own_connection_and_no_other(self):
        chooser = random.Random(SEED)
        print(f"ZANDAKA_SEED={SEED}", flush=True)
        hello = bytes.fromhex("16030100c8010000c40303") + bytes(chooser.randbytes(200))
        forms = [
            hello, b"\0" * 100, b"\xff" * 100, b"SSH-2.0-OpenSSH_9.2\r\n", b"\r\n\r\n\r\n",
            b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\n\n", b"A" * 100000,
            b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n",
            b"GET /livez HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * 20000 + b"\r\n",
            PREFACE[:10] + b"x" * 50, PREFACE + b"\xff" * 1000, PREFACE + b"\0" * 1000,
            PREFACE + SETTINGS + frame(0, 0, 0, b"x"), PREFACE + SETTINGS + frame(1, 4, 2, b"\x82"),
            PREFACE + SETTINGS + frame(1, 5, 1, b"\xff" * 50),
            PREFACE + SETTINGS + frame(8, 0, 0, b"\0\0\0\0"),
            PREFACE + SETTINGS + frame(9, 4, 1, b"x"), PREFACE + frame(6, 0, 0, b"12345678"),
            PREFACE + SETTINGS + frame(1, 1, 1, grpc_headers("Add")) + frame(6, 0, 0, b"12345678"),
            PREFACE + SETTINGS + frame(0, 1, 1, b"x" * 100),
            PREFACE + SETTINGS + b"\xff\xff\xff\0\0\0\0\0\x01" + b"x" * 20000,
        ]
        for form in forms:
            self.send(form)
        self.assertUnharmed()
        # What cannot become a request any more is closed although its sender holds on.
        for form in forms[:3] + [b"A" * 33, b'{"accountId":"a"}', b"GET / HTTP/1.1\n\n", PREFACE + b"\xff" * 1000,
                                 PREFACE + SETTINGS + frame(8, 0, 0, b"\0\0\0\0")]:
            self.send(form, end_of_input=False)
        self.assertUnharmed()
        before = self.memory_bytes()
        for _ in range(1500):
            prefix = chooser.choice([b"", b"", b"POST ", PREFACE, PREFACE + SETTINGS,
                                     b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"])
            self.send(prefix + chooser.randbytes(chooser.choice([1, 20, 400, 5000])))
        self.assertUnharmed()
        self.assertLess(self.memory_bytes() - before, GROWTH_MAX_BYTES)

    def test_half_requests_are_dropped_when_their_sender_goes(self):
        whole = (f"POST {SERVICE}Add HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                 "content-length: 1000000\r\n\r\n").encode() + b'{"transactionId":"t",' + b" " * 500000
        before = self.memory_bytes()
        for i in range(400):
            length = [10, 60, 130, len(whole)][i % 4]
            self.assertEqual(self.send(whole[:length]), b"")
        half = PREFACE + SETTINGS + frame(1, 4, 1, grpc_headers("Add")) + frame(
            0, 0, 1, b"\0\0\x0f\0\0" + b"x" * 16000)
        for _ in range(400):
            self.send(half)
        self.assertUnharmed()
        self.assertLess(self.memory_bytes() - before, GROWTH_MAX_BYTES)

    def test_connections_that_are_reset_in_the_middle_leave_nothing(self):
        reset = struct.pack("ii", 1, 0)
        body = b'{"accountId":"a"}'
        request = (f"POST {SERVICE}GetBalance HTTP/1.1\r\nhost: x\r\ncontent-type: application/json"
                   f"\r\ncontent-length: {len(body)}\r\n\r\n").encode() + body
        for i in range(1000):
            connection = self.connect()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            connection.sendall(request * (1 + i % 20))
            connection.close()
        self.assertUnharmed()

    def test_requests_that_could_be_read_in_two_ways_are_refused(self):
        inner = (f"POST {SERVICE}Add HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n")
        add = b'{"transactionId":"smuggled","accountId":"victim","amounts":[{"kind":"points","amount":1}]}'
        hidden = inner.encode() + b"content-length: %d\r\n\r\n" % len(add) + add
        start = b"POST " + (SERVICE + "GetBalance").encode() + b" HTTP/1.1\r\nhost: x\r\n"
        json = b"content-type: application/json\r\n"
        for fields in [
                b"content-length: 2\r\ntransfer-encoding: chunked\r\n",
                b"transfer-encoding: chunked\r\ncontent-length: 2\r\n",
                b"content-length: 2\r\ncontent-length: 3\r\n",
                b"content-length: 2\r\ncontent-length: 2\r\n", b"content-length: 2, 2\r\n",
                b"content-length: +2\r\n", b"content-length: 0x2\r\n", b"content-length: -2\r\n",
                b"content-length: 2 2\r\n", b"content-length:\r\n",
                b"content-length: 18446744073709551618\r\n", b"content-length : 2\r\n",
                b"content-length\t: 2\r\n", b" content-length: 2\r\n", b"x: y\r\n content-length: 2\r\n",
                b"transfer-encoding : chunked\r\n", b"transfer-encoding: chunked, chunked\r\n",
                b"transfer-encoding: xchunked\r\n", b"transfer-encoding: chunked, identity\r\n",
                b"transfer-encoding: gzip, chunked\r\n", b"transfer-encoding: \x0bchunked\r\n",
                b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
                b"transfer-encoding: identity\r\n", b"transfer-encoding:\r\n",
                b"transfer-encoding\r\n: chunked\r\n", b"host: y\r\ncontent-length: 2\r\n",
                b"content-length: 2\r\nx: a\nb: c\r\n", b"content-length: 2\r\nx: a\rb\r\n",
                b"content-length: 2\r\nx: a\0b\r\n", b"content-length: 2\r\n: a\r\n",
                b"content-length: 2\r\nno-colon\r\n"]:
            answer = self.send(start + json + fields + b"\r\n{}" + hidden)
            self.assertRegex(answer, rb"^HTTP/1.1 (400|501) ", fields)
            self.assertEqual(answer.count(b"HTTP/1.1 "), 1, fields)
        chunked = start + json + b"transfer-encoding: chunked\r\n\r\n"
        for body in [b"2\n{}\r\n0\r\n\r\n", b"2\r\n{}0\r\n\r\n", b"2\r\n{}\n0\r\n\r\n",
                     b"+2\r\n{}\r\n0\r\n\r\n", b"0x2\r\n{}\r\n0\r\n\r\n", b" 2\r\n{}\r\n0\r\n\r\n",
                     b"2 \r\n{}\r\n0\r\n\r\n" + b"", b"-2\r\n{}\r\n0\r\n\r\n", b"\r\n{}\r\n0\r\n\r\n",
                     b"100000000000000002\r\n{}\r\n0\r\n\r\n", b"2;a=\n\r\n{}\r\n0\r\n\r\n",
                     b"2\r\n{}\r\n0\r\nx\r\n\r\n", b"2\r\n{}\r\n0\r\n x: y\r\n\r\n"]:
            answer = self.send(chunked + body + hidden)
            self.assertNotRegex(answer, rb"(?s)HTTP/1.1 .*HTTP/1.1 200 ", body)
        _, _, found = self.server.call("GetTransaction", {"transactionId": "smuggled"})
        self.assertEqual(found["code"], "not_found")
        self.assertUnharmed()

    def test_a_body_has_its_length_whatever_stands_in_it(self):
        add = b'{"transactionId":"in-body","accountId":"victim","amounts":[{"kind":"points","amount":1}]}'
        hidden = (f"POST {SERVICE}Add HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                  f"content-length: {len(add)}\r\n\r\n").encode() + add
        answer = self.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(hidden) +
                           hidden)
        self.assertEqual(answer.count(b"HTTP/1.1 "), 1)
        self.assertEqual(self.server.balance("victim"), 0)

    def test_floods_of_small_frames_cost_their_own_connection(self):
        before = self.memory_bytes()
        opened = frame(1, 4, 1, grpc_headers("Add"))
        for flood in [frame(6, 0, 0, b"12345678"), SETTINGS[:3] + b"\x04\0\0\0\0\0",
                      frame(0, 0, 1), frame(2, 0, 1, b"\0\0\0\0\0"), frame(8, 0, 1, b"\0\0\0\1"),
                      frame(9, 0, 1, b"")]:
            connection = self.connect()
            connection.settimeout(3)
            try:
                connection.sendall(PREFACE + SETTINGS + opened)
                for _ in range(40):
                    connection.sendall(flood * 1000)  # whose answers nobody reads
            except OSError:
                pass
            self.assertUnharmed()
            connection.close()
        # Streams that are opened and reset at once, faster than any deadline can.
        connection = self.connect()
        connection.settimeout(3)
        block = grpc_headers("Add")
        try:
            connection.sendall(PREFACE + SETTINGS)
            for first in range(1, 120001, 2000):
                connection.sendall(b"".join(
                    frame(1, 4, stream, block) + frame(3, 0, stream, b"\0\0\0\x08")
                    for stream in range(first, first + 2000, 2)))
        except OSError:
            pass
        self.assertUnharmed()
        connection.close()
        self.assertLess(self.memory_bytes() - before, GROWTH_MAX_BYTES)

    def test_answers_that_nobody_reads_do_not_pile_up(self):
        self.server.call("Add", {"transactionId": "t", "accountId": "a", "description": "x" * 256,
                                 "amounts": [{"kind": "points", "amount": 1}]})
        body = b'{"transactionId":"t"}'
        request = (f"POST {SERVICE}GetTransaction HTTP/1.1\r\nhost: x\r\ncontent-type: "
                   f"application/json\r\ncontent-length: {len(body)}\r\n\r\n").encode() + body
        before = self.memory_bytes()
        connections = [self.connect() for _ in range(50)]
        for connection in connections:
            connection.settimeout(0.05)
            try:
                for _ in range(20):
                    connection.sendall(request * 1000)
            except OSError:
                pass  # it takes no more: the answers wait to be read first
        self.assertUnharmed()
        self.assertLess(self.memory_bytes() - before, 50 * (6 << 20))

    def test_uploads_beyond_the_budget_hold_nobody_up_and_all_end(self):
        body = b'{"accountId":"a"}'.ljust(4 << 20)
        request = (f"POST {SERVICE}GetBalance HTTP/1.1\r\nhost: x\r\ncontent-type: application/json"
                   f"\r\ncontent-length: {len(body)}\r\n\r\n").encode() + body
        connections = [self.connect() for _ in range(80)]  # more than the budget of 256 MiB
        half_sent = threading.Barrier(len(connections) + 1)
        ok = b"HTTP/1.1 200 "

        def upload(connection):
            """What was answered, and how long that took."""
            # They wait for one another by design, so how long all take is the machine's matter; a
            # time-out of Python's sendall is for the whole of it. That nobody is held up is the
            # quiet caller's to show.
            connection.settimeout(600)
            begin = time.monotonic()
            answer = b""
            try:
                connection.sendall(request[:len(request) // 8])
                half_sent.wait()
                connection.sendall(request[len(request) // 8:])
                answer = connection.recv(len(ok))
            except ConnectionError:
                pass  # judged below
            return answer, time.monotonic() - begin
        with concurrent.futures.ThreadPoolExecutor(len(connections)) as pool:
            answers = [pool.submit(upload, connection) for connection in connections]
            half_sent.wait()
            while not all(answer.done() for answer in answers):
                self.assertQuietIsAnswered()
            ends = [answer.result() for answer in answers]
        self.assertIn(ok, {answer for answer, _ in ends})
        for answer, took_s in ends:
            # A request has so long from its first byte to its last, also on a machine that is slow.
            if took_s < REQUEST_TIMEOUT_S:
                self.assertEqual(answer, ok)
        self.assertUnharmed()


class GrpcWire(Wire):
    def setUp(self):
        super().setUp()
        self.grpc = Grpc(self.server.address)
        self.addCleanup(self.grpc.close)
        self.Code = self.grpc.grpc.StatusCode

    def add_request(self, transaction_id, account="alice", amount=1, **more):
        request = self.grpc.messages.AddRequest(transaction_id=transaction_id, account_id=account,
                                                **more)
        request.amounts.add(kind="points", amount=amount)
        return request

    def raw(self, method, message, **options):
        """The answer's bytes to a message of bytes, which grpcio does not look at."""
        return self.grpc.channel.unary_unary(SERVICE + method)(message, timeout=30, **options)

    def refusal(self, method, message, code, **options):
        with self.assertRaises(self.grpc.grpc.RpcError) as raised:
            self.raw(method, message, **options)
        self.assertEqual(raised.exception.code(), code, raised.exception.details())
        info, _ = self.grpc.error_info(raised.exception)
        return info

    def assertInvalid(self, method, message):
        info = self.refusal(method, message, self.Code.INVALID_ARGUMENT)
        self.assertEqual((info.reason, info.metadata["applied"], info.metadata["retry"]),
                         ("INVALID_REQUEST", "no", "never"))

    def balance(self, account="alice"):
        return self.server.balance(account)

    def test_deadlines_by_the_thousand_lose_no_write_and_no_channel(self):
        ids = [f"late-{i}" for i in range(5000)]
        send = self.grpc.method("Add")
        told = {}
        # From far too short to nearly enough.
        calls = [(each, send.future(self.add_request(each), timeout=0.0002 * (1 + i % 50)))
                 for i, each in enumerate(ids)]
        for each, call in calls:
            told[each] = call.code()
        late = [each for each in ids if told[each] != self.Code.OK]
        self.assertGreater(len(late), 1000)
        # And nothing else: the channel's connection has not been lost.
        self.assertEqual({told[each] for each in late}, {self.Code.DEADLINE_EXCEEDED},
                         {call.details() for each, call in calls if each in late})
        # The same channel goes on.
        answer, _ = self.grpc.add("after", "other", points=1)
        self.assertTrue(answer)
        # Each is settled by the fence: it has happened, or never will.
        cancel = self.grpc.method("Cancel")
        fences = [(each, cancel.future(self.grpc.messages.CancelRequest(transaction_id=each),
                                       timeout=60)) for each in ids]
        happened = set()
        for each, call in fences:
            if call.code() == self.Code.FAILED_PRECONDITION:
                info, _ = self.grpc.error_info(call)
                self.assertEqual(info.reason, "TRANSACTION_SUCCEEDED")
                happened.add(each)
            else:
                self.assertEqual(call.code(), self.Code.OK)
        self.assertEqual({each for each in ids if told[each] == self.Code.OK} - happened, set())
        self.assertEqual(self.balance(), len(happened))
        print(f"{len(late)} deadlines passed; {len(happened)} of {len(ids)} had happened")
        self.assertUnharmed()

    def test_cancelled_calls_leave_the_channel_usable(self):
        send = self.grpc.method("Add")
        calls = [send.future(self.add_request(f"c-{i}"), timeout=60) for i in range(3000)]
        for i, call in enumerate(calls):
            if i % 3:
                call.cancel()
        kept = {call.code() for i, call in enumerate(calls) if i % 3 == 0}
        self.assertEqual(kept, {self.Code.OK}, {call.details() for call in calls[::3]})
        done = 0
        for i in range(3000):
            try:
                self.grpc.call("Cancel", self.grpc.messages.CancelRequest(transaction_id=f"c-{i}"))
                self.assertNotEqual(i % 3, 0)
            except self.grpc.grpc.RpcError as error:
                self.assertEqual(error.code(), self.Code.FAILED_PRECONDITION)
                done += 1
        self.assertGreaterEqual(done, 1000)
        self.assertEqual(self.balance(), done)

    def test_a_thousand_calls_at_once_on_one_channel(self):
        send = self.grpc.method("Add")
        calls = [send.future(self.add_request(f"m-{i}", f"a-{i % 10}"), timeout=30)
                 for i in range(1500)]
        for i, call in enumerate(calls):
            message = self.grpc.transaction.Transaction.FromString(call.result())
            self.assertEqual(message.transaction_id, f"m-{i}")
        self.assertEqual(sum(self.balance(f"a-{i}") for i in range(10)), 1500)

    def test_what_is_no_method_is_unimplemented(self):
        for path in [SERVICE + "Nothing", SERVICE + "add", "/zandaka.v1.Nothing/Add", "/", "/livez",
                     "/grpc.nothing.v1.Nothing/Check"]:
            call = self.grpc.channel.unary_unary(path)
            with self.assertRaises(self.grpc.grpc.RpcError) as raised:
                call(b"", timeout=30)
            self.assertEqual(raised.exception.code(), self.Code.UNIMPLEMENTED)

    def test_a_message_that_is_too_large(self):
        for excess in [1, 10 << 20]:
            info = self.refusal("Add", b"x" * ((4 << 20) + excess), self.Code.RESOURCE_EXHAUSTED)
            self.assertEqual((info.reason, info.metadata["applied"], info.metadata["retry"]),
                             ("REQUEST_TOO_LARGE", "no", "never"))
        # At the limit it is read; what is in it is another matter.
        self.assertInvalid("Add", b"x" * (4 << 20))
        self.assertEqual(self.balance(), 0)

    def test_compressed_messages_are_unimplemented(self):
        for compression in [self.grpc.grpc.Compression.Gzip, self.grpc.grpc.Compression.Deflate]:
            request = self.add_request("z", description="x" * 250)
            with self.assertRaises(self.grpc.grpc.RpcError) as raised:
                self.grpc.method("Add")(request, timeout=30, compression=compression)
            self.assertEqual(raised.exception.code(), self.Code.UNIMPLEMENTED)
        self.assertEqual(self.balance(), 0)

    def test_reads_pass_over_fields_that_the_server_does_not_know(self):
        known = self.grpc.messages.GetBalanceRequest(account_id="alice").SerializeToString()
        for unknown in [b"\xf8\x07\x01", b"\xfa\x07\x03abc", b"\xf9\x07" + b"1" * 8,
                        b"\xfd\x07" + b"1" * 4]:
            self.assertTrue(self.raw("GetBalance", known + unknown))
            self.assertInvalid("Add", self.add_request("u").SerializeToString() + unknown)
        self.assertEqual(self.balance(), 0)

    def test_hand_made_messages_that_nothing_should_move(self):
        def text(number, value):
            return bytes([number << 3 | 2, len(value)]) + value
        amount = text(3, text(1, b"points") + b"\x10\x01")
        good = text(1, b"t") + text(2, b"alice")
        label = text(5, text(1, b"k") + text(2, b"v"))
        for bad in [
                text(1, b"t\0") + text(2, b"alice") + amount,
                text(1, b"t") + text(2, b"ali\0ce") + amount,
                text(1, b"t\xff") + text(2, b"alice") + amount,
                good + amount + text(4, b"\xff"), good + amount + text(4, b"a\0b"),
                good + amount + text(4, b"\xc0\x80"), good + amount + text(4, b"\xed\xa0\x80"),
                good + amount + label + label,
                good + amount + label + text(5, text(1, b"k") + text(2, b"w")),
                good + amount + text(5, text(1, b"k") + text(2, b"\0")),
                good + amount + text(5, b""),                                # the key is empty
                good + amount + text(5, text(1, b"k") + text(1, b"l")),
                good + amount + text(1, b"t"), good + amount + text(2, b"bob"),
                good + text(3, text(1, b"points") + text(1, b"money") + b"\x10\x01"),
                good + text(3, text(1, b"points") + b"\x10\x01\x10\x02"),
                good + text(3, text(1, b"points") + b"\x12\x01\x01"),        # packed, not a list
                good + text(3, text(1, b"points") + b"\x15\x01\0\0\0"),      # another wire type
                good + text(3, text(1, b"points") + b"\x10" + b"\xff" * 9 + b"\x01"),   # -1
                good + text(3, text(1, b"points") + b"\x10" + b"\xff" * 9 + b"\x7f"),   # 70 bits
                good + text(3, text(1, b"points") + b"\x10" + b"\x81" * 10 + b"\0"),
                good + b"\x1a\x7fabc", good + b"\x1a\xff\xff\xff\xff\x0f", good + amount + b"\x0b",
                good + amount + b"\x00\x01", good + amount + b"\x0f", good + amount + b"\xff",
                good + amount + text(3, text(1, b"points") + b"\x10\x01"),   # a kind twice
                good + text(3, text(1, b"points") + b"\x10\x01" + text(3, b"\x08\x01"))]:
            self.assertInvalid("Add", bad)
        add, consume = text(1, good + amount), text(2, good + amount)
        self.assertInvalid("Submit", text(1, add + consume))
        self.assertInvalid("Submit", text(1, add) + text(1, add + add))
        self.assertEqual(self.balance(), 0)
        self.assertTrue(self.raw("Add", good + amount + label))

    def test_deep_nesting_is_refused(self):
        for levels in [20, 90, 10000]:
            message = b""
            for _ in range(levels):
                length, size = len(message), b""
                while length > 127:
                    size, length = size + bytes([length & 127 | 128]), length >> 7
                message = b"\x0a" + size + bytes([length]) + message
            self.assertInvalid("Submit", message)
        self.assertUnharmed()

    def test_elements_by_the_million_are_refused(self):
        before = self.memory_bytes()
        self.assertInvalid("Submit", b"\x0a\x00" * (2 << 20))
        self.assertInvalid("Add", b"\x1a\x00" * (2 << 20))
        self.assertInvalid("BatchGetBalances", b"\x0a\x00" * (2 << 20))
        self.assertLess(self.memory_bytes() - before, GROWTH_MAX_BYTES)

    def test_the_largest_submit_and_its_answer_below_4_mib(self):
        kinds = [f"kind-{i:02}".ljust(32, "k") for i in range(16)]
        server = Server("".join(f"[kind.{kind}]\n" for kind in kinds)).start()
        self.addCleanup(server.__exit__, None, None, None)
        self.grpc.close()
        self.grpc = Grpc(server.address)
        request = self.grpc.messages.SubmitRequest()
        # 16 keys and values of 1,024 bytes in all, and every other field at its limit too.
        metadata = {f"key-{i:02}".ljust(32, "k"): "v" * 32 for i in range(16)}
        for i in range(1024):
            add = request.commands.add().add
            add.transaction_id, add.account_id = f"big-{i:04}".ljust(64, "x"), "a" * 64
            add.description = "\u3042" * 85 + "x"
            add.metadata.update(metadata)
            for kind in kinds:
                add.amounts.add(kind=kind, amount=10**15)
        raw = request.SerializeToString()
        answer = self.raw("Submit", raw)
        print(f"the largest Submit: {len(raw)} bytes, its answer {len(answer)}", flush=True)
        self.assertLess(len(answer), 4 << 20)
        results = self.grpc.messages.SubmitResponse.FromString(answer).results
        self.assertEqual(len(results), 1024)
        self.assertFalse([each for each in results if not each.HasField("transaction")])
        self.assertEqual(dict(results[1023].transaction.metadata), metadata)
        again = self.raw("Submit", raw)
        self.assertLess(len(again), 4 << 20)
        replayed = self.grpc.messages.SubmitResponse.FromString(again).results
        self.assertEqual([each.transaction for each in replayed],
                         [each.transaction for each in results])
        self.assertTrue(all(each.replayed for each in replayed))

    def test_the_worst_submit_is_answered_below_4_mib_too(self):
        request = self.grpc.messages.SubmitRequest()
        while True:
            add = request.commands.add().add
            add.transaction_id = "zandaka:" + "x" * 200
            add.description = "x" * 257
            for i in range(17):
                add.amounts.add(kind="K" * 40, amount=-1)
                add.metadata["\u3042" * 30 + str(i)] = "v" * 257
            if len(request.commands) == 1024 or request.ByteSize() > (4 << 20) - 10000:
                break
        while len(request.commands) < 1024:
            request.commands.add()
        raw = request.SerializeToString()
        self.assertLessEqual(len(raw), 4 << 20)
        self.assertLess(len(self.raw("Submit", raw)), 4 << 20)

    def test_streams_above_the_limit_wait_or_are_refused_and_the_rest_is_answered(self):
        connection = self.connect()
        block = grpc_headers("GetBalance")
        message = self.grpc.messages.GetBalanceRequest(account_id="a").SerializeToString()
        body = b"\0" + struct.pack(">I", len(message)) + message
        connection.sendall(PREFACE + SETTINGS + b"".join(
            frame(1, 4, stream, block) for stream in range(1, 2003, 2)))
        connection.sendall(b"".join(frame(0, 1, stream, body) for stream in range(1, 2001, 2)))
        connection.settimeout(10)
        ended, refused, buffer = set(), set(), b""
        while len(ended) < 1000:
            piece = connection.recv(65536)
            self.assertTrue(piece, "the connection was closed")
            buffer += piece
            while len(buffer) >= 9 and len(buffer) >= 9 + int.from_bytes(buffer[:3], "big"):
                length, kind, flags = int.from_bytes(buffer[:3], "big"), buffer[3], buffer[4]
                stream = int.from_bytes(buffer[5:9], "big")
                if kind == 3:
                    refused.add(stream)
                elif kind in (0, 1) and flags & 1:
                    ended.add(stream)
                buffer = buffer[9 + length:]
        self.assertEqual(refused, {2001})
        self.assertEqual(ended, set(range(1, 2001, 2)))


@unittest.skipUnless(shutil.which("h2load"), "h2load is not installed")
class Load(Wire):
    def test_h2load_gets_only_successes(self):
        body = self.server.directory / "body"
        body.write_bytes(b'{"accountId":"quiet"}')
        for protocol in [["-m", "100"], ["--h1", "-m", "10"]]:
            done = subprocess.run(
                ["h2load", "-n", "20000", "-c", "10", *protocol, "-d", str(body), "-H",
                 "content-type: application/json",
                 f"http://{self.server.address}{SERVICE}GetBalance"],
                capture_output=True, text=True, timeout=60, check=True)
            self.assertIn("20000 done, 20000 succeeded, 0 failed, 0 errored, 0 timeout",
                          done.stdout)
            self.assertIn("20000 2xx", done.stdout)
        self.assertUnharmed()


class Memory(Wire):
    IDLE = 2000

    def test_an_idle_server_is_small_and_idle_connections_cost_little(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 3 * self.IDLE)), hard))
        self.assertLess(self.memory_bytes(), 64 << 20)
        for name, greeting in [("HTTP/1.1", b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n"),
                               ("HTTP/2", PREFACE + SETTINGS)]:
            before = self.memory_bytes()
            connections = []
            for _ in range(self.IDLE):
                connection = self.connect()
                connection.sendall(greeting)
                self.assertTrue(connection.recv(1000))
                connections.append(connection)
                if len(connections) % 100 == 0:
                    self.assertQuietIsAnswered()
            for _ in range(100):
                self.assertUnharmed()
            each = (self.memory_bytes() - before) / self.IDLE
            print(f"{name}: {self.IDLE} idle connections, {each:.0f} bytes each", flush=True)
            self.assertLess(each, 32 << 10)
            for connection in connections:
                connection.close()


if __name__ == "__main__":
    unittest.main()
