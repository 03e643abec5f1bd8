#!/usr/bin/python3
"""Callers from outside: who is let in by token and by certificate, what each may call and see, the
callers' file read again under load, and who stands beside the record. Python's http.client and ssl,
curl, gRPC's own client."""
import hashlib
import http.client
import json
import pathlib
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from certificates import Authority
from server import BINARY, SERVICE, Grpc, Server, add, reason

WRITE = {"transactionId": "campaign-1", "accountId": "alice",
         "amounts": [{"kind": "points", "amount": 1}]}
REQUESTS = {
    "Add": WRITE, "Consume": WRITE, "Cancel": {"transactionId": "campaign-1"},
    "Submit": {"commands": [{"add": WRITE}]}, "GetBalance": {"accountId": "alice"},
    "BatchGetBalances": {"accountIds": ["alice"]},
    "GetTransaction": {"transactionId": "campaign-1"}, "ListEntries": {"accountId": "alice"},
}
DENIED = ("PERMISSION_DENIED", "no", "never")
UNKNOWN = ("UNAUTHENTICATED", "no", "never")


def section(name, token, more=""):
    return (f"[caller.{name}]\ntoken_sha256 = {hashlib.sha256(token.encode()).hexdigest()}\n"
            f"{more}\n")


def bearer(token):
    return {"authorization": f"Bearer {token}"}


class Access(unittest.TestCase):
    def start(self, callers, config="[kind.points]\n[kind.money]\n", **options):
        directory = tempfile.TemporaryDirectory(prefix="zandaka-access-")
        self.addCleanup(directory.cleanup)
        self.callers_file = pathlib.Path(directory.name) / "callers.ini"
        self.callers_file.write_text(callers)
        server = Server(f"[callers]\nfile = {self.callers_file}\n{config}",
                        **{"store": "memory:", **options})
        self.addCleanup(server.__exit__, None, None, None)
        return server.start()

    def reload(self, server, callers, said):
        before = server.log_text().count(said)
        self.callers_file.write_text(callers)
        server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 30
        while server.log_text().count(said) == before:
            self.assertLess(time.monotonic(), deadline, server.log_text())
            time.sleep(0.005)

    def expect(self, server, method, message, token, expected):
        """`expected` None: answered; otherwise the ErrorInfo that it is refused with."""
        status, _, answer = server.call(method, message, bearer(token) if token else None)
        got = None if status == 200 else reason(answer)
        self.assertEqual(got, expected, (method, message, answer))
        return answer

    def grpc(self, server, token=None):
        client = Grpc(server.address)
        self.addCleanup(client.close)
        metadata = [("authorization", f"Bearer {token}")] if token else None

        def call(name, message):
            from google.protobuf import json_format
            request = json_format.ParseDict(message,
                                            getattr(client.messages, name + "Request")())
            try:
                client.method(name)(request, timeout=30, metadata=metadata)
                return None
            except client.grpc.RpcError as error:
                info, _ = client.error_info(error)
                return error.code().name, info.reason
        return call

    # --- who calls ---

    def test_nobody_is_let_in_without_a_known_token(self):
        server = self.start(section("team", "good"))
        without = self.grpc(server)
        wrong = self.grpc(server, "bad")
        for method, message in REQUESTS.items():
            self.assertEqual(without(method, message), ("UNAUTHENTICATED", "UNAUTHENTICATED"))
            self.assertEqual(wrong(method, message), ("UNAUTHENTICATED", "UNAUTHENTICATED"))
            for headers in [None, bearer("bad"), bearer(""), {"authorization": "good"},
                            {"authorization": "Basic good"}]:
                status, answered, answer = server.call(method, message, headers)
                self.assertEqual((status, answer["code"]), (401, "unauthenticated"))
                self.assertEqual(answered["www-authenticate"], "Bearer")
                self.assertEqual(reason(answer), UNKNOWN)
        # Whoever is not known is not told whether what was sent makes sense.
        self.assertEqual(server.post("Add", b"{", None)[0], 401)
        self.assertEqual(server.post("Add", b"{", bearer("good"))[0], 400)
        # Nor does a read by GET go another way.
        path = SERVICE + "GetBalance?connect=v1&encoding=json&message=%7B%22accountId%22%3A%22a%22%7D"
        for headers, status in [({}, 401), (bearer("bad"), 401), (bearer("good"), 200)]:
            connection = http.client.HTTPConnection(server.address, timeout=30)
            connection.request("GET", path, headers=headers)
            self.assertEqual(connection.getresponse().status, status)
            connection.close()
        # Two headers say two things.
        connection = http.client.HTTPConnection(server.address, timeout=30)
        connection.putrequest("POST", SERVICE + "GetBalance")
        for value in ["Bearer good", "Bearer good"]:
            connection.putheader("authorization", value)
        connection.putheader("content-type", "application/json")
        connection.putheader("content-length", "2")
        connection.endheaders(b"{}")
        self.assertEqual(connection.getresponse().status, 401)
        connection.close()
        self.assertNotIn("bad", server.log_text())
        self.assertNotIn("good", server.log_text())

    def say(self, server, head):
        """Sends the head of a request without the body that it announces; the head of the answer."""
        with socket.create_connection(server.address.rsplit(":", 1), timeout=30) as connection:
            connection.sendall(head.encode())
            answer = b""
            while b"\r\n\r\n" not in answer:
                piece = connection.recv(4096)
                if not piece:
                    break
                answer += piece
            return answer.decode()

    def test_a_strangers_body_is_not_waited_for(self):
        server = self.start(section("team", "good") + section("prometheus", "p"))
        head = (f"POST {SERVICE}Submit HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n"
                "content-length: 4000000\r\nexpect: 100-continue\r\n")
        for authorization in ["", "authorization: Bearer bad\r\n"]:
            answer = self.say(server, f"{head}{authorization}\r\n")
            self.assertTrue(answer.startswith("HTTP/1.1 401 "), answer)
            self.assertIn("connection: close", answer)
        answer = self.say(server, f"{head}authorization: Bearer good\r\n\r\n")
        self.assertTrue(answer.startswith("HTTP/1.1 100 "), answer)
        # Who sends it all the same, as most do, reads the answer too.
        big = {"commands": [{"add": {**add(f"big-{i}", points=1), "description": "d" * 200}}
                            for i in range(1000)]}
        self.expect(server, "Submit", big, "bad", UNKNOWN)
        self.expect(server, "Submit", big, "good", None)
        self.assertEqual(self.grpc(server, "bad")("Submit", big),
                         ("UNAUTHENTICATED", "UNAUTHENTICATED"))
        self.assertIsNone(self.grpc(server, "good")("Submit", big))
        import grpc
        with grpc.insecure_channel(server.address) as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check",
                                        request_serializer=bytes, response_deserializer=bytes)
            name = b"n" * 5000
            with self.assertRaises(grpc.RpcError) as refused:
                check(b"\x0a\x88\x27" + name, timeout=30)
            self.assertEqual(refused.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
        connection = http.client.HTTPConnection(server.address, timeout=30)
        connection.request("GET", "/metrics", headers=bearer("p"))
        text = connection.getresponse().read().decode()
        connection.close()
        self.assertIn('zandaka_access_refusals_total{reason="UNAUTHENTICATED"} 4', text)

    def test_health_is_everybodys_and_metrics_are_not(self):
        server = self.start(section("prometheus", "scrape", "methods = metrics")
                            + section("team", "team", "methods = Add"))
        for path in ["/livez", "/readyz"]:
            self.assertEqual(server.get(path), (200, b"ok"))
        expected = {None: 401, "bad": 401, "team": 403, "scrape": 200}
        for token, status in expected.items():
            connection = http.client.HTTPConnection(server.address, timeout=30)
            connection.request("GET", "/metrics", headers=bearer(token) if token else {})
            answer = connection.getresponse()
            text = answer.read().decode()
            connection.close()
            self.assertEqual(answer.status, status, text)
        self.assertIn('zandaka_access_refusals_total{reason="UNAUTHENTICATED"} 2', text)
        self.assertIn('zandaka_access_refusals_total{reason="PERMISSION_DENIED"} 1', text)
        self.expect(server, "Add", WRITE, "scrape", DENIED)
        import grpc
        with grpc.insecure_channel(server.address) as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check",
                                        request_serializer=bytes, response_deserializer=bytes)
            self.assertEqual(check(b"", timeout=30), b"\x08\x01")

    # --- what each may do ---

    def test_every_method_is_allowed_or_denied(self):
        names = list(REQUESTS)
        server = self.start("".join(section(f"only-{name}", f"t-{name}", f"methods = {name}")
                                    for name in names))
        for allowed in names:
            call = self.grpc(server, f"t-{allowed}")
            for method, message in REQUESTS.items():
                denied = call(method, message)
                status, _, answer = server.call(method, message, bearer(f"t-{allowed}"))
                if method == allowed:
                    self.assertNotEqual(denied and denied[1], "PERMISSION_DENIED", method)
                    self.assertNotEqual(status, 403, answer)
                else:
                    self.assertEqual(denied, ("PERMISSION_DENIED", "PERMISSION_DENIED"))
                    self.assertEqual((status, reason(answer)), (403, DENIED))
        # A Submit brings nothing about that its caller may not call by itself.
        _, _, answer = server.call("Submit", REQUESTS["Submit"], bearer("t-Submit"))
        self.assertEqual(answer["results"][0]["error"]["code"], 7)
        # A malformed request is that first, whoever may call what.
        self.expect(server, "Consume", {"transactionId": ""}, "t-Add",
                    ("INVALID_REQUEST", "no", "never"))

    def test_ids_that_are_not_its_own_are_out_of_a_callers_reach(self):
        server = self.start(section("campaign", "c", "ids = campaign-, promo-")
                            + section("payment", "p"))
        for transaction_id, expected in [("campaign-1", None), ("promo-1", None),
                                         ("campaign", DENIED), ("Campaign-1", DENIED),
                                         ("order-1", DENIED), ("x-campaign-1", DENIED)]:
            self.expect(server, "Add", add(transaction_id, points=9), "c", expected)
        self.expect(server, "Add", {**add("order-1", points=7), "description": "of payment"}, "p",
                    None)
        # It cannot fence, ask for, or learn of another's, recorded or not: always the same answer.
        for transaction_id in ["order-1", "order-2", "zandaka:1"]:
            asked = {"transactionId": transaction_id}
            self.expect(server, "GetTransaction", asked, "c", DENIED)
        answers = [self.expect(server, "Cancel", {"transactionId": i}, "c", DENIED)["message"]
                   for i in ["order-1", "order-2"]]
        self.assertEqual(answers[0], answers[1].replace("order-2", "order-1"))
        self.expect(server, "Add", add("order-2", points=1), "p", None)
        _, _, answer = server.call("Submit", {"commands": [
            {"add": add("campaign-2", points=1)}, {"cancel": {"transactionId": "order-3"}},
            {"consume": add("order-1", points=7)}, {"cancel": {"transactionId": "promo-9"}}]},
            bearer("c"))
        self.assertEqual([each.get("error", {}).get("code") for each in answer["results"]],
                         [None, 7, 7, None])
        # Of others' transactions a history tells what they did, and not which they were.
        answer = self.expect(server, "ListEntries", {"accountId": "alice"}, "c", None)
        told = [(e["sequence"], e["balanceAfter"], e.get("transactionId"), e.get("description"))
                for e in answer["entries"]]
        self.assertEqual(told, [("5", "27", "campaign-2", None), ("4", "26", None, None),
                                ("3", "25", None, None), ("2", "18", "promo-1", None),
                                ("1", "9", "campaign-1", None)])
        answer = self.expect(server, "ListEntries", {"accountId": "alice"}, "p", None)
        self.assertEqual([e["transactionId"] for e in answer["entries"]],
                         ["campaign-2", "order-2", "order-1", "promo-1", "campaign-1"])
        self.assertEqual(answer["entries"][2]["description"], "of payment")

    def test_kinds_that_a_caller_may_not_use_are_neither_written_nor_shown(self):
        server = self.start(section("points", "p", "kinds = points") + section("all", "a"))
        self.expect(server, "Add", add("both", points=1, money=2), "a", None)
        self.expect(server, "Add", add("some", points=4), "p", None)
        for message in [add("m", money=1), add("n", points=1, money=1), add("o", gold=1)]:
            answer = self.expect(server, "Add", message, "p", DENIED)
            self.assertIn("may not use the kind", answer["message"])
        self.expect(server, "Add", add("o", gold=1), "a", ("UNKNOWN_KIND", "no", "after_change"))
        only = [{"kind": "points", "available": "5", "held": "0"}]
        answer = self.expect(server, "GetBalance", {"accountId": "alice"}, "p", None)
        self.assertEqual(answer["balances"], only)
        answer = self.expect(server, "BatchGetBalances", {"accountIds": ["alice"]}, "p", None)
        self.assertEqual(answer["accounts"][0]["balances"], only)
        answer = self.expect(server, "ListEntries", {"accountId": "alice"}, "p", None)
        self.assertEqual([(e["kind"], e["amount"]) for e in answer["entries"]],
                         [("points", "4"), ("points", "1")])
        asked = {"accountId": "alice", "kinds": ["money"]}
        self.expect(server, "ListEntries", asked, "p", DENIED)
        self.expect(server, "ListEntries", {**asked, "kinds": ["points"]}, "p", None)
        self.expect(server, "GetTransaction", {"transactionId": "some"}, "p", None)
        self.expect(server, "GetTransaction", {"transactionId": "both"}, "p", DENIED)
        self.expect(server, "GetTransaction", {"transactionId": "both"}, "a", None)

    def test_a_rate_is_kept_and_says_when_to_come_again(self):
        server = self.start(section("slow", "s", "rate = 2") + section("quick", "q"))
        call = self.grpc(server, "s")
        asked = {"accountId": "alice"}
        answers = [server.call("GetBalance", asked, bearer("s")) for _ in range(40)]
        statuses = [status for status, _, _ in answers]
        self.assertEqual(statuses[:2], [200, 200])
        limited = [answer for status, _, answer in answers if status == 429]
        self.assertGreater(len(limited), 0, statuses)
        self.assertEqual(reason(limited[0]), ("RATE_LIMITED", "no", "same_request"))
        delays = [d["debug"]["retryDelay"] for d in limited[0]["details"]
                  if d["type"] == "google.rpc.RetryInfo"]
        self.assertEqual(len(delays), 1)
        self.assertTrue(0 < float(delays[0].rstrip("s")) <= 0.5, delays)
        refused = [call("GetBalance", asked) for _ in range(10)]
        self.assertIn(("RESOURCE_EXHAUSTED", "RATE_LIMITED"), refused)
        self.expect(server, "GetBalance", asked, "q", None)

    # --- certificates ---

    def test_of_a_certificate_32_names_are_read_and_none_of_more_than_512_bytes(self):
        directory = tempfile.TemporaryDirectory(prefix="zandaka-names-")
        self.addCleanup(directory.cleanup)
        authority = Authority(directory.name)
        certificate, key = authority.sign("server", "DNS:localhost,IP:127.0.0.1")
        server = self.start(
            "[caller.last]\ncertificate_names = last.internal\n",
            f"[tls]\ncertificate = {certificate}\nkey = {key}\nclient_ca = {authority.path}\n"
            "[kind.points]\n")

        def status(*names_before):
            shown = authority.sign("caller", ",".join([*names_before, "DNS:last.internal"]))
            context = ssl.create_default_context(cafile=str(authority.path))
            context.load_cert_chain(*map(str, shown))
            connection = http.client.HTTPSConnection(server.address, timeout=30, context=context)
            try:
                connection.request("POST", SERVICE + "GetBalance", '{"accountId":"alice"}',
                                   {"content-type": "application/json"})
                return connection.getresponse().status
            finally:
                connection.close()

        others = [f"DNS:n{i}.internal" for i in range(32)]
        self.assertEqual(status(*others[:31]), 200)
        self.assertEqual(status(*others), 401)
        # A name that is too long is passed over, and does not count.
        longest = "spiffe://x/".ljust(512, "n")
        self.assertEqual(status(*others[:31], f"URI:{longest}"), 401)
        self.assertEqual(status(*others[:31], f"URI:{longest}n"), 200)

    def test_a_certificate_is_as_good_as_a_token(self):
        directory = tempfile.TemporaryDirectory(prefix="zandaka-mtls-")
        self.addCleanup(directory.cleanup)
        authority = Authority(directory.name)
        certificate, key = authority.sign("server", "DNS:localhost,IP:127.0.0.1")
        callers = Authority(pathlib.Path(directory.name) / "callers", "callers")
        by_dns = callers.sign("campaign", "DNS:Campaign.Internal")
        by_uri = callers.sign("payment", "URI:spiffe://example.org/payment")
        nobody = callers.sign("nobody", "DNS:nobody.internal")
        two = callers.sign("two", "DNS:campaign.internal,URI:spiffe://example.org/payment")
        stranger = Authority(pathlib.Path(directory.name) / "other", "other").sign(
            "stranger", "DNS:campaign.internal")
        server = self.start(
            "[caller.campaign]\ncertificate_names = campaign.internal\nmethods = Add\n"
            "[caller.payment]\ncertificate_names = spiffe://example.org/payment\n"
            + section("batch", "b"),
            f"[tls]\ncertificate = {certificate}\nkey = {key}\nclient_ca = {callers.path}\n"
            "[kind.points]\n")

        def call(method, message, shown=None, token=None):
            context = ssl.create_default_context(cafile=str(authority.path))
            if shown:
                context.load_cert_chain(*map(str, shown))
            connection = http.client.HTTPSConnection(server.address, timeout=30, context=context)
            try:
                connection.request("POST", SERVICE + method, json.dumps(message),
                                   {"content-type": "application/json",
                                    **(bearer(token) if token else {})})
                return connection.getresponse().status
            finally:
                connection.close()
        ask = ("GetBalance", {"accountId": "alice"})
        self.assertEqual(call("Add", WRITE, by_dns), 200)
        self.assertEqual(call(*ask, by_dns), 403)
        self.assertEqual(call(*ask, by_uri), 200)
        self.assertEqual(call(*ask), 401)
        self.assertEqual(call(*ask, nobody), 401)
        self.assertEqual(call(*ask, two), 401)
        self.assertEqual(call(*ask, None, "b"), 200)
        self.assertEqual(call(*ask, nobody, "b"), 200)
        self.assertEqual(call(*ask, by_uri, "bad"), 401)
        try:  # a certificate of another authority ends in the handshake
            self.assertEqual(call(*ask, stranger), "no answer")
        except (ssl.SSLError, ConnectionError, http.client.HTTPException):
            pass
        port = server.address.rsplit(":", 1)[1]
        done = subprocess.run(
            ["curl", "-sS", "--cacert", str(authority.path), "--cert", str(by_uri[0]), "--key",
             str(by_uri[1]), "-w", "%{http_code}", "-H", "content-type: application/json", "-d",
             '{"accountId":"alice"}', f"https://localhost:{port}{SERVICE}GetBalance"],
            capture_output=True, text=True, timeout=60)
        self.assertTrue(done.stdout.endswith("200"), done)
        import grpc
        credentials = grpc.ssl_channel_credentials(
            authority.path.read_bytes(), by_uri[1].read_bytes(), by_uri[0].read_bytes())
        with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
            call_raw = channel.unary_unary(SERVICE + "GetBalance", request_serializer=bytes,
                                           response_deserializer=bytes)
            self.assertIn(b"alice", call_raw(b"\x0a\x05alice", timeout=30))

    # --- the file ---

    def test_the_file_is_read_again_while_calls_go_on(self):
        server = self.start(section("team", "old"))
        stop = threading.Event()
        seen = []

        def call_on(token):
            connection = http.client.HTTPConnection(server.address, timeout=30)
            statuses = set()
            while not stop.is_set():
                connection.request("POST", SERVICE + "GetBalance", b'{"accountId":"alice"}',
                                   {"content-type": "application/json", **bearer(token)})
                answer = connection.getresponse()
                answer.read()
                statuses.add(answer.status)
            connection.close()
            seen.append(statuses)
        callers = [threading.Thread(target=call_on, args=("old",)) for _ in range(4)]
        for caller in callers:
            caller.start()
        both = section("team", "old").strip() + \
            f", {hashlib.sha256(b'new').hexdigest()}\n{section('other', 'other')}"
        try:
            for _ in range(20):
                self.reload(server, both, "2 callers may call from now on")
                self.expect(server, "GetBalance", {"accountId": "alice"}, "new", None)
                self.expect(server, "GetBalance", {"accountId": "alice"}, "other", None)
                self.reload(server, section("team", "old"), "1 caller may call from now on")
                self.expect(server, "GetBalance", {"accountId": "alice"}, "other", UNKNOWN)
            # A slip takes nothing away.
            self.reload(server, section("team", "old") + "[caller.x]\n",
                        "the callers that were read before stay")
            self.assertIn("callers.ini:4: the section [caller.x] above has neither",
                          server.log_text())
            self.callers_file.unlink()
            server.process.send_signal(signal.SIGHUP)
        finally:
            stop.set()
            for caller in callers:
                caller.join()
        self.assertEqual(seen, [{200}] * 4)
        self.reload(server, section("team", "new"), "1 caller may call from now on")
        self.expect(server, "GetBalance", {"accountId": "alice"}, "old", UNKNOWN)
        self.expect(server, "GetBalance", {"accountId": "alice"}, "new", None)

    def test_a_file_that_is_wrong_is_told_at_the_start(self):
        with tempfile.TemporaryDirectory() as directory:
            callers = pathlib.Path(directory) / "callers.ini"
            config = pathlib.Path(directory) / "zandaka.ini"
            config.write_text(f"[callers]\nfile = {callers}\n")
            for text, said in [(None, "No such file"), ("[caller.a]\n", "callers.ini:1: "),
                               (section("a", "t", "kinds = gold"), "kind gold is not configured")]:
                if text is not None:
                    callers.write_text(text)
                done = subprocess.run([BINARY, "serve", "--config", str(config),
                                       "--check-config"], capture_output=True, text=True,
                                      timeout=60)
                self.assertEqual(done.returncode, 2)
                self.assertIn(said, done.stderr)

    def test_beyond_loopback_tls_and_callers_are_both_needed(self):
        with tempfile.TemporaryDirectory() as name:
            directory = pathlib.Path(name)
            authority = Authority(name)
            certificate, key = authority.sign("server", "DNS:localhost")
            callers = directory / "callers.ini"
            callers.write_text(section("team", "t"))
            tls = f"[tls]\ncertificate = {certificate}\nkey = {key}\n"
            who = f"[callers]\nfile = {callers}\n"
            for listen, sections, said in [
                    ("0.0.0.0:0", "", "it has no TLS"), ("0.0.0.0:0", who, "it has no TLS"),
                    ("0.0.0.0:0", tls, "it cannot tell who calls"), ("0.0.0.0:0", tls + who, None),
                    ("127.0.0.1:0", "", None), ("127.0.0.1:0", who, None)]:
                config = directory / "zandaka.ini"
                config.write_text(f"[server]\nlisten = {listen}\n{sections}")
                done = subprocess.run([BINARY, "serve", "--config", str(config),
                                       "--check-config"], capture_output=True, text=True,
                                      timeout=60)
                self.assertEqual(done.returncode, 0 if said is None else 2, done)
                self.assertIn(said or "", done.stderr)

    # --- beside the record ---

    def test_who_first_succeeded_is_beside_the_record_and_in_no_answer(self):
        server = self.start(section("first", "f") + section("second", "s"), store=None)
        _, _, answer = server.call("Add", add("t-1", points=1), bearer("f"))
        status, headers, again = server.call("Add", add("t-1", points=1), bearer("s"))
        self.assertEqual((status, headers.get("zandaka-replayed")), (200, "true"))
        self.assertEqual(answer, again)
        self.assertNotIn("first", json.dumps(again))
        server.call("Cancel", {"transactionId": "t-2"}, bearer("s"))
        self.assertEqual(server.stop(), 0)

        def audit(transaction_id, *more):
            return subprocess.run([BINARY, "transaction", "--store", server.store, "--id",
                                   transaction_id, *more], capture_output=True, text=True,
                                  timeout=60)
        self.assertRegex(audit("t-1").stdout, r"(?m)^caller +first$")
        self.assertRegex(audit("t-2").stdout, r"(?m)^caller +second$")
        told = json.loads(audit("t-1", "--json").stdout)
        self.assertEqual(told, {"transaction": answer, "caller": "first"})
        missing = audit("t-3")
        self.assertEqual(missing.returncode, 3)
        self.assertIn("TRANSACTION_NOT_FOUND", missing.stderr)
        self.assertEqual(server.verify().returncode, 0)

    # --- the command line ---

    def test_a_token_is_made_configured_and_sent(self):
        made = subprocess.run([BINARY, "token", "--caller", "campaign"], capture_output=True,
                              text=True, timeout=60)
        self.assertEqual(made.returncode, 0)
        token = made.stdout.splitlines()[0]
        self.assertRegex(token, r"^zandaka_[A-Za-z0-9_-]{43}$")
        lines = made.stdout[made.stdout.index("[caller.campaign]"):]
        self.assertNotIn(token, lines)
        again = subprocess.run([BINARY, "token", "--caller", "campaign"], capture_output=True,
                               text=True, timeout=60)
        self.assertNotEqual(again.stdout, made.stdout)
        server = self.start(lines)
        token_file = server.directory / "token"
        token_file.write_text(token + "\n")
        arguments = ["--id", "t-1", "--account", "alice", "points=5"]
        without = server.run("add", *arguments)
        self.assertEqual(without.returncode, 3)
        self.assertIn("UNAUTHENTICATED", without.stderr)
        self.assertEqual(server.run("add", "--token-file", str(token_file),
                                    *arguments).returncode, 0)
        for wrong in [["token"], ["token", "--caller", "a b"],
                      ["balance", "--account", "alice", "--token-file", "/nowhere"],
                      ["balance", "--account", "alice", "--server", "192.0.2.1:1",
                       "--token-file", str(token_file)]]:
            done = server.run(*wrong)
            self.assertEqual(done.returncode, 2, wrong)
            self.assertNotIn(token, done.stderr)


if __name__ == "__main__":
    unittest.main()
