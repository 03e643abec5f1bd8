#!/usr/bin/python3
"""Crowds of connections, beside one quiet caller who gets its answers all the while: thousands that
are idle, that have said half of something, and that fill every window they have. The server's memory
stays within its budget.

As many idle connections as the limit of open files leaves room for, up to ZANDAKA_IDLE (10,000), of
TLS up to ZANDAKA_IDLE_TLS (2,000: each handshake costs 2 ms), and as many with full windows as
ZANDAKA_FULL_WINDOWS says (400).
"""
import http.client
import os
import pathlib
import resource
import select
import socket
import ssl
import struct
import tempfile
import time
import unittest

from certificates import Authority
from server import SERVICE, Server

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MIB = 1 << 20
BUDGET = 256 * MIB  # BASE_INFLIGHT_MAX_BYTES
OTHERS = 300        # open files of this process and the server that are no connection of the crowd
HALF_OPEN = 1000


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(
        ">I", stream) + payload


def field(name, value):
    """A header field as HPACK has it without indexing and Huffman's code."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def grpc_headers(method):
    return b"\x83\x86" + b"".join(field(*each) for each in [
        (b":path", (SERVICE + method).encode()), (b":authority", b"x"), (b"te", b"trailers"),
        (b"content-type", b"application/grpc")])


class Crowd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        wanted = int(os.environ.get("ZANDAKA_IDLE", "10000"))
        # The server needs 768 for its store besides.
        cls.idle = min(wanted, hard - 768 - HALF_OPEN - OTHERS)
        if cls.idle < 1000:
            raise unittest.SkipTest(f"the limit of open files is {hard}")
        cls.directory = tempfile.TemporaryDirectory(prefix="zandaka-crowds-")
        cls.addClassCleanup(cls.directory.cleanup)
        cls.authority = Authority(cls.directory.name)
        cls.certificate, cls.key = cls.authority.sign("server", "DNS:localhost,IP:127.0.0.1")

    def start(self, tls=False):
        config = "[kind.points]\n"
        if tls:
            config += f"[tls]\ncertificate = {self.certificate}\nkey = {self.key}\n"
        self.server = Server(config, store="memory:")
        self.addCleanup(self.server.__exit__, None, None, None)
        self.server.start()
        host, port = self.server.address.rsplit(":", 1)
        self.address = (host, int(port))
        self.context = ssl.create_default_context(cafile=str(self.authority.path))
        if tls:
            self.quiet = http.client.HTTPSConnection(self.server.address, timeout=30,
                                                     context=self.context)
        else:
            self.quiet = http.client.HTTPConnection(self.server.address, timeout=30)
        self.addCleanup(self.quiet.close)
        self.assertQuietIsAnswered()

    def assertQuietIsAnswered(self):
        self.quiet.request("POST", SERVICE + "GetBalance", b'{"accountId":"quiet"}',
                           {"content-type": "application/json"})
        answer = self.quiet.getresponse()
        body = answer.read()
        self.assertEqual(answer.status, 200, body)

    def memory_bytes(self):
        text = pathlib.Path(f"/proc/{self.server.process.pid}/statm").read_text()
        return int(text.split()[1]) * resource.getpagesize()

    def connect(self):
        connection = socket.create_connection(self.address, timeout=30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.addCleanup(connection.close)
        return connection

    def connect_tls(self, protocol):
        context = ssl.create_default_context(cafile=str(self.authority.path))
        context.set_alpn_protocols([protocol])
        connection = context.wrap_socket(self.connect(), server_hostname="localhost")
        self.addCleanup(connection.close)
        return connection

    def send_half_a_record(self):
        connection = self.connect()
        received, said = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(received, said, server_hostname="localhost")
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                connection.sendall(said.read())
                received.write(connection.recv(65536))
        tls.write(b"x" * 16000)
        connection.sendall(said.read()[:-1])

    def half_open(self, greetings):
        """Connections that have said half of something, and wait."""
        for i in range(HALF_OPEN):
            self.connect().sendall(greetings[i % len(greetings)])

    def test_idle_and_half_open_connections_in_plaintext(self):
        self.start()
        before = self.memory_bytes()
        greeting = PREFACE + frame(4, 0, 0)
        for i in range(self.idle):
            self.connect().sendall(greeting)
            if i % 500 == 0:
                self.assertQuietIsAnswered()
        for _ in range(20):
            self.assertQuietIsAnswered()
        each = (self.memory_bytes() - before) / self.idle
        print(f"{self.idle} idle HTTP/2 connections: {each:.0f} bytes each", flush=True)
        self.assertLess(each, 32 << 10)
        self.half_open([b"", b"POST /", PREFACE[:10], greeting + frame(1, 4, 1, grpc_headers("Add")),
                        f"POST {SERVICE}Add HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{{".encode()])
        for _ in range(100):
            self.assertQuietIsAnswered()
        self.assertLess(self.memory_bytes() - before, 512 * MIB)

    def test_idle_and_half_open_connections_with_tls(self):
        self.start(tls=True)
        before = self.memory_bytes()
        idle = min(self.idle, int(os.environ.get("ZANDAKA_IDLE_TLS", "2000")))
        for i in range(idle):
            connection = self.connect_tls("h2" if i % 2 else "http/1.1")
            connection.sendall(PREFACE + frame(4, 0, 0) if i % 2 else
                               b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
            self.assertTrue(connection.recv(1000))
            if i % 500 == 0:
                self.assertQuietIsAnswered()
        each = (self.memory_bytes() - before) / idle
        print(f"{idle} idle TLS connections: {each:.0f} bytes each", flush=True)
        self.assertLess(each, 64 << 10)
        self.half_open([b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 100])
        for _ in range(100):
            self.assertQuietIsAnswered()
        grown = self.memory_bytes() - before
        self.assertLess(grown, 512 * MIB)
        # Half a record, of which 64 KiB of memory wait for the rest.
        for _ in range(200):
            self.send_half_a_record()
        for _ in range(20):
            self.assertQuietIsAnswered()
        self.assertLess(self.memory_bytes() - before - grown, 200 * (128 << 10))

    def fill(self, connections, chunks, seconds):
        """Writes what each connection has to say, as far as it is taken, until nothing is taken for a
        second or the time is up. Gives the bytes that were taken; the quiet caller is answered."""
        left = {connection: list(chunks) for connection in connections}
        taken, until, progress = 0, time.monotonic() + seconds, time.monotonic()
        next_quiet = 0
        while left and time.monotonic() < until and time.monotonic() - progress < 1:
            poll = select.poll()
            by_number = {}
            for connection in left:
                poll.register(connection, select.POLLOUT)
                by_number[connection.fileno()] = connection
            for number, _ in poll.poll(50):
                connection = by_number[number]
                try:
                    sent = connection.send(left[connection][0])
                except BlockingIOError:
                    continue
                except OSError:
                    del left[connection]
                    continue
                taken += sent
                progress = time.monotonic()
                rest = left[connection][0][sent:]
                left[connection] = ([rest] if rest else []) + left[connection][1:]
                if not left[connection]:
                    del left[connection]
            if time.monotonic() > next_quiet:
                self.assertQuietIsAnswered()
                next_quiet = time.monotonic() + 0.1
        return taken

    def test_full_windows_stay_within_the_budget(self):
        self.start()
        before = self.memory_bytes()
        n_connections = int(os.environ.get("ZANDAKA_FULL_WINDOWS", "400"))
        # Eight streams, each with all of its window but for the last byte of a message: 8 MiB of
        # each connection that never become a request.
        body = b"\0" + struct.pack(">I", 4 * MIB - 5) + b"x" * (MIB - 5 - 16384)
        chunks = [PREFACE + frame(4, 0, 0)]
        for stream in range(1, 16, 2):
            chunks.append(frame(1, 4, stream, grpc_headers("Add")) + b"".join(
                frame(0, 0, stream, body[at:at + 16384]) for at in range(0, len(body), 16384)))
        connections = []
        for _ in range(n_connections):
            connection = self.connect()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
            connection.setblocking(False)
            connections.append(connection)
        taken = self.fill(connections, chunks, 60)
        grown = self.memory_bytes() - before
        print(f"{n_connections} connections with {sum(map(len, chunks)) / MIB:.1f} MiB each to say: "
              f"{taken / MIB:.0f} MiB were taken off their hands, the server grew by "
              f"{grown / MIB:.0f} MiB", flush=True)
        self.assertLess(grown, 2 * BUDGET + 128 * MIB)
        for _ in range(50):
            self.assertQuietIsAnswered()
        # When they are gone there is room again.
        for connection in connections:
            connection.close()
        for _ in range(50):
            self.assertQuietIsAnswered()

    def test_streams_that_are_opened_and_left_stay_within_the_budget(self):
        self.start()
        before = self.memory_bytes()
        block = grpc_headers("Add")
        chunks = [PREFACE + frame(4, 0, 0) + b"".join(
            frame(1, 4, stream, block) for stream in range(1, 2001, 2))]
        connections = []
        for _ in range(300):
            connection = self.connect()
            connection.setblocking(False)
            connections.append(connection)
        taken = self.fill(connections, chunks, 60)
        grown = self.memory_bytes() - before
        print(f"300 connections with 1,000 streams each: {taken / MIB:.0f} MiB were taken, the server "
              f"grew by {grown / MIB:.0f} MiB", flush=True)
        self.assertLess(grown, 2 * BUDGET + 256 * MIB)
        self.assertQuietIsAnswered()


if __name__ == "__main__":
    unittest.main()
