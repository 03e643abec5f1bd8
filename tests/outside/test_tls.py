#!/usr/bin/python3
"""TLS from outside, with clients that are not ours: Python's ssl, curl, and gRPC's own."""
import http.client
import json
import pathlib
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

from certificates import Authority
from server import BINARY, SERVICE, Server, add


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="zandaka-tls-")
        cls.addClassCleanup(cls.directory.cleanup)
        cls.authority = Authority(cls.directory.name)
        cls.names = "DNS:localhost,IP:127.0.0.1"
        cls.certificate, cls.key = cls.authority.sign("server", cls.names)
        cls.callers = Authority(pathlib.Path(cls.directory.name) / "callers", "callers")
        cls.caller = cls.callers.sign("campaign", "DNS:campaign.example,URI:spiffe://example/x")
        cls.elsewhere = cls.authority.sign("elsewhere", "DNS:other.example")
        cls.stranger = Authority(pathlib.Path(cls.directory.name) / "other", "other").sign(
            "stranger", "DNS:campaign.example")

    def start(self, more="", certificate=None, key=None):
        server = Server(f"[tls]\ncertificate = {certificate or self.certificate}\n"
                        f"key = {key or self.key}\n{more}\n[kind.points]\n", store="memory:")
        self.addCleanup(server.__exit__, None, None, None)
        return server.start()

    def context(self, protocols=("h2", "http/1.1"), caller=None):
        context = ssl.create_default_context(cafile=str(self.authority.path))
        if protocols:
            context.set_alpn_protocols(list(protocols))
        if caller:
            context.load_cert_chain(*map(str, caller))
        return context

    def connect(self, server, context):
        host, port = server.address.rsplit(":", 1)
        plain = socket.create_connection((host, int(port)), timeout=30)
        self.addCleanup(plain.close)
        secure = context.wrap_socket(plain, server_hostname="localhost")
        self.addCleanup(secure.close)
        return secure

    def json_call(self, server, context, method, message):
        connection = http.client.HTTPSConnection(server.address, timeout=30, context=context)
        try:
            connection.request("POST", SERVICE + method, json.dumps(message),
                               {"content-type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def test_json_over_http1(self):
        server = self.start()
        for protocols in [("http/1.1",), None]:
            status, _ = self.json_call(server, self.context(protocols), "Add",
                                       add("t-1", points=5))
            self.assertEqual(status, 200)

    def test_curl_takes_http2(self):
        server = self.start()
        port = server.address.rsplit(":", 1)[1]
        done = subprocess.run(
            ["curl", "-sS", "--cacert", str(self.authority.path), "-w", "%{http_version}", "-H",
             "content-type: application/json", "-d", '{"accountId":"alice"}',
             f"https://localhost:{port}{SERVICE}GetBalance"], capture_output=True, text=True,
            timeout=60)
        self.assertTrue(done.stdout.endswith("2"), done)
        self.assertIn('"accountId":"alice"', done.stdout)

    def grpc_call(self, server, caller=None, account="alice"):
        import grpc
        from zandaka.v1 import balance_service_pb2
        pair = [pathlib.Path(each).read_bytes() for each in caller] if caller else [None, None]
        credentials = grpc.ssl_channel_credentials(self.authority.path.read_bytes(), pair[1],
                                                   pair[0])
        channel = grpc.secure_channel(server.address, credentials, options=[
            ("grpc.ssl_target_name_override", "localhost"), ("grpc.enable_retries", 0),
            ("grpc.use_local_subchannel_pool", 1)])
        try:
            call = channel.unary_unary(
                SERVICE + "GetBalance",
                request_serializer=balance_service_pb2.GetBalanceRequest.SerializeToString,
                response_deserializer=balance_service_pb2.AccountBalance.FromString)
            return call(balance_service_pb2.GetBalanceRequest(account_id=account), timeout=30)
        finally:
            channel.close()

    def test_grpc(self):
        self.assertEqual(self.grpc_call(self.start()).account_id, "alice")

    def test_versions_below_1_2_are_refused(self):
        server = self.start()
        for version in [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]:
            context = self.context()
            context.minimum_version = context.maximum_version = version
            secure = self.connect(server, context)
            self.assertEqual(secure.selected_alpn_protocol(), "h2")
        context = self.context()
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.assertRaises(ssl.SSLError):
            self.connect(server, context)

    def test_alpn_decides_what_is_spoken(self):
        server = self.start()
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
        for protocols in [("http/1.1",), None]:
            secure = self.connect(server, self.context(protocols))
            secure.sendall(preface)
            self.assertTrue(self.read_all(secure).startswith(b"HTTP/1.1 "))
        secure = self.connect(server, self.context(("h2",)))
        secure.sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        frames = self.read_all(secure)
        self.assertNotIn(b"HTTP/1.1", frames)
        self.assertIn(b"\0\0\0\0\0\0\0\0\1", frames)  # a GOAWAY that says PROTOCOL_ERROR
        with self.assertRaises(ssl.SSLError) as refused:
            self.connect(server, self.context(("spdy/3",)))
        self.assertIn("NO APPLICATION PROTOCOL", str(refused.exception).upper().replace("_", " "))

    def read_all(self, connection):
        received = b""
        while True:
            some = connection.recv(65536)
            if not some:
                return received
            received += some

    def test_a_plaintext_client_gets_a_clean_end(self):
        server = self.start()
        host, port = server.address.rsplit(":", 1)
        for words in [b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                      b"\0" * 100, b"hello\n" * 10000]:
            with socket.create_connection((host, int(port)), timeout=30) as plain:
                plain.sendall(words)
                self.assertLess(len(self.read_all(plain)), 20)  # at most an alert
        self.assertEqual(self.json_call(server, self.context(None), "GetBalance",
                                        {"accountId": "alice"})[0], 200)

    def test_bodies_larger_than_every_buffer_arrive_whole(self):
        server = self.start()
        amounts = [{"kind": "points", "amount": 1}]
        commands = [{"add": {"transactionId": f"big-{i}", "accountId": "alice", "amounts": amounts,
                             "description": "d" * 200, "metadata": {"k" * 60: "v" * 200}}}
                    for i in range(1000)]
        status, answer = self.json_call(server, self.context(("http/1.1",)), "Submit",
                                        {"commands": commands})
        self.assertEqual((status, len(answer["results"])), (200, 1000), str(answer)[:300])
        self.assertTrue(all("transaction" in each for each in answer["results"]))

    def test_callers_certificates(self):
        server = self.start(f"client_ca = {self.callers.path}")
        message = {"accountId": "alice"}
        status, _ = self.json_call(server, self.context(caller=self.caller, protocols=None),
                                   "GetBalance", message)
        self.assertEqual(status, 200)
        self.assertEqual(self.grpc_call(server, self.caller).account_id, "alice")
        for caller in [None, self.stranger]:
            with self.assertRaises((ssl.SSLError, OSError, http.client.RemoteDisconnected)):
                self.json_call(server, self.context(caller=caller, protocols=None), "GetBalance",
                               message)
        self.assertIn("a TLS handshake failed", server.log_text())

    def serial(self, server):
        secure = self.connect(server, self.context())
        return secure.getpeercert()["serialNumber"]

    def wait_for_log(self, server, text, count=1):
        until = time.monotonic() + 30
        while server.log_text().count(text) < count:
            self.assertLess(time.monotonic(), until, server.log_text())
            time.sleep(0.01)

    def test_certificates_are_read_again_on_sighup(self):
        directory = pathlib.Path(self.directory.name) / "renewed"
        directory.mkdir()
        certificate, key = directory / "server.pem", directory / "server.key"

        def put(pair):
            certificate.write_bytes(pair[0].read_bytes())
            key.write_bytes(pair[1].read_bytes())
        put((self.certificate, self.key))
        server = self.start(certificate=certificate, key=key)
        first = self.serial(server)
        connection = http.client.HTTPSConnection(server.address, timeout=30,
                                                 context=self.context(("http/1.1",)))
        connection.request("GET", "/livez")
        self.assertEqual(connection.getresponse().read(), b"ok")

        fresh = self.authority.sign("fresh", self.names)
        put(fresh)
        self.assertEqual(self.serial(server), first)
        server.process.send_signal(signal.SIGHUP)
        self.wait_for_log(server, "new connections get the certificate")
        second = self.serial(server)
        self.assertNotEqual(second, first)

        key.write_bytes(self.key.read_bytes())  # which does not go with the certificate
        server.process.send_signal(signal.SIGHUP)
        self.wait_for_log(server, "stays in use")
        self.assertEqual(self.serial(server), second)
        certificate.unlink()
        server.process.send_signal(signal.SIGHUP)
        self.wait_for_log(server, "stays in use", 2)
        self.assertEqual(self.serial(server), second)
        # The connection of before goes on all the while.
        connection.request("GET", "/livez")
        self.assertEqual(connection.getresponse().read(), b"ok")
        connection.close()
        self.assertEqual(server.stop(), 0)

    def refused(self, config, *arguments):
        path = pathlib.Path(self.directory.name) / "refused.ini"
        path.write_text(config)
        done = subprocess.run([BINARY, "serve", "--check-config", "--config",
                               str(path), *arguments], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 2, done)
        return done.stderr

    def test_what_cannot_be_served_is_refused(self):
        pair = f"certificate = {self.certificate}\nkey = {self.key}\n"
        self.assertIn("needs both certificate and key",
                      self.refused(f"[tls]\ncertificate = {self.certificate}\n"))
        self.assertIn("needs both certificate and key",
                      self.refused(f"[tls]\nclient_ca = {self.callers.path}\n"))
        self.assertIn("no certificate in PEM",
                      self.refused(f"[tls]\ncertificate = {self.key}\nkey = {self.key}\n"))
        self.assertIn("begins with -----BEGIN CERTIFICATE-----",
                      self.refused(f"[tls]\ncertificate = {self.key}\nkey = {self.key}\n"))
        self.assertIn("not that of the first certificate in",
                      self.refused(f"[tls]\ncertificate = {self.certificate}\nkey = "
                                   f"{self.caller[1]}\n"))
        self.assertIn("begins with -----BEGIN PRIVATE KEY-----",
                      self.refused(f"[tls]\ncertificate = {self.certificate}\nkey = "
                                   f"{self.certificate}\n"))
        # Nobody is asked for a passphrase, not even at a terminal.
        locked = pathlib.Path(self.directory.name) / "locked.key"
        subprocess.run(["openssl", "pkcs8", "-topk8", "-in", self.key, "-out", locked, "-passout",
                        "pass:secret"], check=True, capture_output=True)
        self.assertIn("not encrypted by a passphrase",
                      self.refused(f"[tls]\ncertificate = {self.certificate}\nkey = {locked}\n"))
        self.assertIn("holds no certificate of an authority in PEM",
                      self.refused(f"[tls]\n{pair}client_ca = {self.key}\n"))
        self.assertIn("/nowhere", self.refused(f"[tls]\n{pair}client_ca = /nowhere\n"))
        self.assertIn("it has no TLS", self.refused("", "--listen", "0.0.0.0:0"))
        self.assertIn("it cannot tell who calls",
                      self.refused(f"[tls]\n{pair}", "--listen", "0.0.0.0:0"))

    def test_beyond_loopback_with_tls_and_callers(self):
        server = Server(f"[tls]\ncertificate = {self.certificate}\nkey = {self.key}\n"
                        f"client_ca = {self.callers.path}\n", store="memory:")
        self.addCleanup(server.__exit__, None, None, None)
        server.start("0.0.0.0:0")
        server.address = server.address.replace("0.0.0.0", "127.0.0.1")
        status, _ = self.json_call(server, self.context(None, self.caller), "GetBalance",
                                   {"accountId": "alice"})
        self.assertEqual(status, 200)

    def verb(self, server, *arguments):
        port = server.address.rsplit(":", 1)[1]
        return server.run("balance", "--account", "alice", "--server", f"localhost:{port}",
                          "--timeout", "5", *map(str, arguments))

    def test_the_client_verbs(self):
        server = self.start()
        done = self.verb(server, "--tls", "--ca", self.authority.path)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        # Whom nobody vouches for, whoever is somebody else, and who speaks no TLS, is not believed.
        done = self.verb(server, "--tls", "--ca", self.callers.path)
        self.assertEqual(done.returncode, 4, done)
        self.assertIn("certificate verify failed", done.stderr)
        done = self.verb(server, "--tls")
        self.assertEqual(done.returncode, 4, done)
        other = self.start(certificate=self.elsewhere[0], key=self.elsewhere[1])
        done = self.verb(other, "--tls", "--ca", self.authority.path)
        self.assertEqual(done.returncode, 4, done)
        self.assertIn("hostname mismatch", done.stderr)
        self.assertEqual(self.verb(server).returncode, 4)
        with Server(store="memory:") as plain:
            done = self.verb(plain, "--tls", "--ca", self.authority.path)
            self.assertEqual(done.returncode, 4, done)
            self.assertIn("no TLS with the server", done.stderr)
        for wrong in [["--ca", self.authority.path], ["--tls", "--key", self.key],
                      ["--tls", "--certificate", self.certificate]]:
            self.assertEqual(self.verb(server, *wrong).returncode, 2)

    def test_the_client_verbs_by_address_and_with_a_certificate(self):
        server = self.start(f"client_ca = {self.callers.path}")
        arguments = ["balance", "--account", "alice", "--server", server.address, "--tls", "--ca",
                     str(self.authority.path)]
        done = server.run(*arguments, "--certificate", str(self.caller[0]), "--key",
                          str(self.caller[1]))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        refused = server.run(*arguments)
        self.assertEqual(refused.returncode, 4, refused)
        self.assertIn("certificate required", refused.stderr)
        refused = server.run(*arguments, "--certificate", str(self.stranger[0]), "--key",
                             str(self.stranger[1]))
        self.assertEqual(refused.returncode, 4, refused)
        self.assertIn("unknown ca", refused.stderr)
        refused = server.run(*arguments, "--certificate", "/nowhere", "--key", "/nowhere")
        self.assertIn("/nowhere", refused.stderr)

    def test_an_import_and_a_bench_over_tls(self):
        server = self.start()
        flags = ["--server", server.address, "--tls", "--ca", str(self.authority.path)]
        path = pathlib.Path(self.directory.name) / "rows.csv"
        path.write_text("transaction_id,operation,account_id,kind,amount\n" + "".join(
            f"row-{i},add,bob,points,{i + 1}\n" for i in range(3000)))
        done = server.run("import", str(path), *flags)
        self.assertEqual(done.returncode, 0, done)
        done = server.run("bench", "--directory", self.directory.name, "--workload", "batch",
                          "--rounds", "1", "--seconds", "1", *flags)
        self.assertEqual(done.returncode, 0, done)

    def test_a_drain_ends_tls_connections(self):
        server = self.start()
        silent = socket.create_connection(server.address.rsplit(":", 1), timeout=30)
        self.addCleanup(silent.close)
        # Greeted, so that the one before it is no longer in the backlog.
        idle = self.connect(server, self.context())
        self.assertEqual(server.stop(), 0)
        self.read_all(idle)
        self.assertEqual(silent.recv(100), b"")


if __name__ == "__main__":
    unittest.main()
