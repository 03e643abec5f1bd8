#!/usr/bin/python3
"""docs/api.md, JSON: what is taken, what is refused, and the bytes that come back, seen by clients
that are not ours: http.client, curl, and plain sockets."""
import base64
import http.client
import json
import re
import shutil
import socket
import subprocess
import sys
import unittest

from server import SERVICE, Server, add, reason

JSON = "application/json"
CREATE_TIME = re.compile(rb'"createTime":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z)"')


def without_time(body):
    return CREATE_TIME.sub(b'"createTime":"T"', body)


def raw(address, request, end_of_input=True):
    """Sends bytes, and gives all that comes until the server closes."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(request)
        if end_of_input:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def head(method, length, *fields, path=None):
    lines = [f"POST {path or SERVICE + method} HTTP/1.1", "host: x", f"content-type: {JSON}"]
    if length is not None:
        lines.append(f"content-length: {length}")
    return "\r\n".join([*lines, *fields, "", ""]).encode()


class Json(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.__exit__, None, None, None)
        cls.server.start()

    def post(self, method, body, headers=None):
        return self.server.post(method, body if isinstance(body, bytes) else body.encode(), headers)

    def assertInvalid(self, method, body, field=None):
        status, headers, answer = self.post(method, body)
        shown = body[:80]
        self.assertEqual(status, 400, (shown, answer))
        self.assertEqual(headers["content-type"], JSON)
        answer = json.loads(answer)
        self.assertEqual(answer["code"], "invalid_argument", shown)
        self.assertEqual(reason(answer), ("INVALID_REQUEST", "no", "never"), shown)
        violations = [each for each in answer["details"]
                      if each["type"] == "google.rpc.BadRequest"][0]["debug"]["fieldViolations"]
        self.assertTrue(all(each["description"] for each in violations))
        if field is not None:
            self.assertEqual(violations[0].get("field", ""), field, (shown, violations))
        return violations

    # --- the documented examples, byte for byte ---

    def test_the_documented_examples_byte_for_byte(self):
        self.post("Add", '{"transactionId":"grant","accountId":"doc",'
                         '"amounts":[{"kind":"points","amount":1000},{"kind":"money","amount":500}]}')
        status, headers, body = self.post(
            "Consume", '{"transactionId":"order-8812-pay","accountId":"doc",'
            '"amounts":[{"kind":"points","amount":"100"},{"kind":"money","amount":500}]}')
        self.assertEqual((status, headers["content-type"]), (200, JSON))
        self.assertEqual(int(headers["content-length"]), len(body))
        self.assertEqual(
            without_time(body),
            b'{"transactionId":"order-8812-pay","state":"STATE_SUCCEEDED",'
            b'"operation":"OPERATION_CONSUME","accountId":"doc","legs":['
            b'{"accountId":"doc","kind":"points","amount":"-100"},'
            b'{"accountId":"doc","kind":"money","amount":"-500"}],"createTime":"T"}')
        _, _, body = self.post("GetBalance", '{"accountId":"doc"}')
        self.assertEqual(body, b'{"accountId":"doc","balances":['
                               b'{"kind":"points","available":"900","held":"0"},'
                               b'{"kind":"money","available":"0","held":"0"}]}')
        _, _, body = self.post("BatchGetBalances", '{"accountIds":["nobody"]}')
        self.assertEqual(body, b'{"accounts":[{"accountId":"nobody","balances":['
                               b'{"kind":"points","available":"0","held":"0"},'
                               b'{"kind":"money","available":"0","held":"0"}]}]}')
        _, _, body = self.post("Cancel", '{"transactionId":"order-8813-pay"}')
        self.assertEqual(without_time(body),
                         b'{"transactionId":"order-8813-pay","state":"STATE_CANCELLED",'
                         b'"operation":"OPERATION_CANCEL","createTime":"T"}')
        _, _, body = self.post("ListEntries", '{"accountId":"doc","pageSize":1}')
        page = json.loads(body)
        token = page["nextPageToken"].encode()
        self.assertRegex(token, rb"^[A-Za-z0-9_-]+$")
        self.assertEqual(
            without_time(body),
            b'{"entries":[{"sequence":"4","transactionId":"order-8812-pay",'
            b'"operation":"OPERATION_CONSUME","kind":"money","amount":"-500","balanceAfter":"0",'
            b'"heldAmount":"0","heldAfter":"0","createTime":"T"}],"nextPageToken":"' + token +
            b'"}')
        _, _, body = self.post("ListEntries", '{"accountId":"nobody"}')
        self.assertEqual(body, b"{}")

    def test_the_documented_error_byte_for_byte(self):
        status, headers, body = self.post("Consume", '{"transactionId":"broke","accountId":"poor",'
                                          '"amounts":[{"kind":"points","amount":1}]}')
        self.assertEqual((status, headers["content-type"]), (400, JSON))
        value = json.loads(body)["details"][0]["value"]
        from google.rpc import error_details_pb2
        info = error_details_pb2.ErrorInfo.FromString(
            base64.b64decode(value + "=" * (-len(value) % 4), validate=True))
        self.assertEqual((info.reason, info.domain, dict(info.metadata)),
                         ("INSUFFICIENT_BALANCE", "zandaka",
                          {"applied": "no", "retry": "after_change", "kind": "points"}))
        self.assertEqual(
            body, b'{"code":"failed_precondition","message":"account has too little points",'
            b'"details":[{"type":"google.rpc.ErrorInfo","value":"' + value.encode() +
            b'","debug":{"reason":"INSUFFICIENT_BALANCE","domain":"zandaka","metadata":'
            b'{"applied":"no","kind":"points","retry":"after_change"}}}]}')

    def test_a_submits_results_stand_as_documented(self):
        self.post("Add", json.dumps(add("s0", "sub", points=5)))
        status, _, body = self.post("Submit", json.dumps({"commands": [
            {"add": add("s0", "sub", points=5)}, {"consume": add("s1", "sub", points=9)},
            {"cancel": {"transactionId": "s2"}}, {"add": add("s3", "sub", points=0)}]}))
        self.assertEqual(status, 200)
        results = json.loads(body)["results"]
        self.assertEqual(list(results[0]), ["transaction", "replayed"])
        self.assertIs(results[0]["replayed"], True)
        self.assertEqual(list(results[2]), ["transaction"])
        error = results[1]["error"]
        self.assertEqual((error["code"], error["message"]), (9, "account has too little points"))
        self.assertEqual(error["details"], [{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "INSUFFICIENT_BALANCE",
            "domain": "zandaka",
            "metadata": {"applied": "no", "retry": "after_change", "kind": "points"}}])
        wrong = results[3]["error"]
        self.assertEqual(wrong["code"], 3)
        self.assertEqual([each["fieldViolations"][0]["field"] for each in wrong["details"]
                          if each["@type"].endswith("BadRequest")],
                         ["commands[3].add.amounts[0].amount"])

    def test_a_replay_says_so_in_a_header(self):
        body = json.dumps(add("replayed", "rep", points=1))
        first, again = self.post("Add", body), self.post("Add", body)
        self.assertNotIn("zandaka-replayed", first[1])
        self.assertEqual(again[1]["zandaka-replayed"], "true")
        self.assertEqual(first[2], again[2])

    # --- values ---

    def test_numbers_are_plain_digits(self):
        def request(amount, i):
            return (f'{{"transactionId":"n-{i}","accountId":"numbers","amounts":'
                    f'[{{"kind":"money","amount":{amount}}}]}}')
        taken = ["1", '"1"', "1000000000000000", '"1000000000000000"']
        for i, amount in enumerate(taken):
            status, _, body = self.post("Add", request(amount, i))
            self.assertEqual(status, 200, (amount, body))
        self.assertEqual(self.server.balance("numbers", "money"), 2 * 10**15 + 2)
        refused = ["+1", "1.0", "1.5", "1e0", "1E2", "01", "-01", "-0", "0x1", ".5", "1.", "NaN",
                   "Infinity", '"+1"', '"1.0"', '"1e0"', '"01"', '" 1"', '"1 "', '"-0"', '""',
                   '"0x1"', '"\\u0000"', '"1\\u0000"', "9007199254740993", "-9007199254740993",
                   "9223372036854775808", '"9223372036854775808"', "1e400", '"NaN"', "true",
                   "[1]", '{"value":1}', "\u0661", '"\u0661"', "1" * 400, "0", "-1", "null"]
        for amount in refused:
            self.assertInvalid("Add", request(amount, "bad"))
        self.assertEqual(self.server.balance("numbers", "money"), 2 * 10**15 + 2)

    def test_names_are_known_and_given_once(self):
        body = '{"transaction_id":"snake","account_id":"names","amounts":[{"kind":"points","amount":1}]}'
        self.assertEqual(self.post("Add", body)[0], 200)
        good = '"accountId":"names","amounts":[{"kind":"points","amount":1}]'
        for bad, field in [
                ('{"transactionId":"k",%s,"surprise":1}' % good, "surprise"),
                ('{"transactionId":"k",%s,"TransactionId":"k"}' % good, "TransactionId"),
                ('{"transactionID":"k",%s}' % good, "transactionID"),
                ('{"transactionId":"k",%s,"transaction_id":"k"}' % good, "transaction_id"),
                ('{"transactionId":"k","transactionId":"k",%s}' % good, ""),
                ('{"transactionId":"k","\\u0074ransactionId":"k",%s}' % good, ""),
                ('{"transactionId":"k",%s,"metadata":{"a":"1","a":"2"}}' % good, ""),
                ('{"transactionId":"k","accountId":"names","amounts":'
                 '[{"kind":"points","amount":1,"x":null}]}', "amounts[0].x")]:
            self.assertInvalid("Add", bad, field)
        # A field of a read is unknown as well: JSON has no fields without names to pass over.
        self.assertInvalid("GetBalance", '{"accountId":"names","surprise":1}', "surprise")
        self.assertEqual(self.server.balance("names"), 1)

    def test_a_command_with_two_operations_refuses_the_call(self):
        one = json.dumps(add("two-1", "two", points=1))
        both = f'{{"commands":[{{"add":{one}}},{{"add":{one},"consume":{one}}}]}}'
        self.assertInvalid("Submit", both)
        self.assertEqual(self.server.balance("two"), 0)

    def test_text_is_utf8_without_nul_or_lone_surrogates(self):
        def request(i, description):
            return (b'{"transactionId":"u-%d","accountId":"text","amounts":[{"kind":"points",'
                    b'"amount":1}],"description":"%s"}' % (i, description))
        taken = [(b"\xe6\xae\x8b\xe9\xab\x98", "\u6b8b\u9ad8"),
                 (b"\\u6b8b\\u9AD8", "\u6b8b\u9ad8"),
                 (b"\\ud83d\\ude00", "\U0001f600"),
                 (b'\\"\\\\\\/\\b\\f\\n\\r\\t', '"\\/\b\f\n\r\t'),
                 (b"\xef\xbb\xbf", "\ufeff"), (b"\\u007f", "\x7f"), (b"\xed\x9f\xbf", "\ud7ff"),
                 (b"\xf4\x8f\xbf\xbf", "\U0010ffff")]
        for i, (sent, meant) in enumerate(taken):
            status, _, body = self.post("Add", request(i, sent))
            self.assertEqual(status, 200, (sent, body))
            self.assertEqual(json.loads(body)["description"], meant)
            _, _, found = self.post("GetTransaction", b'{"transactionId":"u-%d"}' % i)
            self.assertEqual(found, body)
        refused = [b"\\ud83d", b"\\ude00", b"\\ude00\\ud83d", b"\\ud83dx", b"\\ud83d\\u0041",
                   b"\xff", b"\xc3", b"\xc0\x80", b"\xe0\x80\x80", b"\xed\xa0\x80",
                   b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"a\x00b", b"\\u0000", b"a\nb",
                   b"\x1f", b"\\x", b"\\u12", b"\\", b"\\u00zz"]
        for sent in refused:
            self.assertInvalid("Add", request(99, sent))
        self.assertInvalid("Add", b'{"transactionId":"u-99","accountId":"text","amounts":[{"kind":'
                                  b'"points","amount":1}],"metadata":{"\\u0000":"a"}}')
        self.assertEqual(self.server.balance("text"), len(taken))

    def test_null_is_unset(self):
        status, _, body = self.post(
            "Add", '{"transactionId":"null","accountId":"null","amounts":[{"kind":"points",'
            '"amount":1,"expireTime":null}],"description":null,"metadata":null}')
        self.assertEqual(status, 200, body)
        self.assertNotIn(b"description", body)

    # --- bodies ---

    def test_bodies_that_are_no_object(self):
        for body in [b"", b" ", b"\n", b"null", b"[]", b"1", b'"a"', b"true", b"{", b"}", b"{}}",
                     b"{} {}", b"{}x", b"{,}", b'{"a"}', b'{"accountId":"a",}', b"{'accountId':1}",
                     b"\x00", b"{}\x00", b"\xef\xbb\xbf{}", b"//\n{}", b"{\"accountId\":\"a\"",
                     b"\xff\xfe{\x00}\x00"]:
            self.assertInvalid("GetBalance", body)

    def test_an_empty_object_is_an_empty_message(self):
        for method, field in [("Add", "transaction_id"), ("Cancel", "transaction_id"),
                              ("Submit", "commands"), ("GetBalance", "account_id"),
                              ("BatchGetBalances", "account_ids"), ("ListEntries", "account_id"),
                              ("GetTransaction", "transaction_id")]:
            self.assertInvalid(method, "{}", field)
        violations = self.assertInvalid("Consume", " {\n} ")
        self.assertEqual([each["field"] for each in violations],
                         ["transaction_id", "account_id", "amounts"])

    def test_bombs_are_refused(self):
        four = 4 << 20
        for body in [b"[" * four, b"{" * four, (b"{}" * four)[:four], b'{"a":' * (four // 5),
                     (b"[{}" + b",{}" * four)[:four - 1] + b"]", b'"' + b"a" * (four - 2) + b'"',
                     b"9" * four, b" " * four, b'{"commands":[' + b"{}," * 1_300_000 + b"{}]}",
                     b'{"accountId":' + b"[" * 17 + b"]" * 17 + b"}"]:
            self.assertLessEqual(len(body), four)
            self.assertInvalid("Submit", body)
        self.assertEqual(self.server.get("/livez"), (200, b"ok"))

    def test_a_body_of_4_mib_is_read_and_one_byte_more_is_too_large(self):
        body = b'{"accountId":"large"}'
        body += b" " * ((4 << 20) - len(body))
        self.assertEqual(self.post("GetBalance", body)[0], 200)
        status, _, answer = self.post("GetBalance", body + b" ")
        self.assertEqual(status, 429)
        answer = json.loads(answer)
        self.assertEqual(answer["code"], "resource_exhausted")
        self.assertEqual(reason(answer), ("REQUEST_TOO_LARGE", "no", "never"))

    # --- HTTP ---

    def exchange(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection(self.server.address, timeout=30)
        self.addCleanup(connection.close)
        connection.request(method, path, body,
                           {key.replace("_", "-"): value for key, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()

    def assertUnimplemented(self, exchange, status):
        got, headers, body = exchange
        self.assertEqual((got, headers["content-type"]), (status, JSON), body)
        answer = json.loads(body)
        self.assertEqual(answer["code"], "unimplemented")
        self.assertEqual(reason(answer), ("UNIMPLEMENTED", "no", "never"))
        return headers

    def test_what_is_not_there_is_404(self):
        for path in ["/", "/nothing", SERVICE, SERVICE + "Nothing", SERVICE + "add",
                     SERVICE + "Add/", "/zandaka.v1.BalanceService", "//livez", "/livez/",
                     SERVICE + "%41dd", SERVICE + "../Add"]:
            for method in ["GET", "POST", "DELETE"]:
                self.assertUnimplemented(
                    self.exchange(method, path, b"{}", content_type=JSON), 404)

    def test_a_wrong_http_method_is_405_and_tells_the_right_one(self):
        for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "post", "QUERY"]:
            for name, allowed in [("GetBalance", "GET, POST"), ("Add", "POST")]:
                if method in allowed:
                    continue
                headers = self.assertUnimplemented(
                    self.exchange(method, SERVICE + name, b'{"accountId":"a"}',
                                  content_type=JSON), 405)
                self.assertEqual(headers["allow"], allowed)
        for path in ["/livez", "/readyz"]:
            headers = self.assertUnimplemented(self.exchange("POST", path, b""), 405)
            self.assertEqual(headers["allow"], "GET, HEAD")

    def test_a_read_by_get_and_in_protobuf_is_the_same_read(self):
        self.assertEqual(self.server.call("Add", add("g1", "getter", points=5))[0], 200)
        path = SERVICE + "GetBalance"
        posted = self.exchange("POST", path, b'{"accountId":"getter"}', content_type=JSON)[2]
        query = "?connect=v1&encoding=json&message=%7B%22accountId%22%3A%22getter%22%7D"
        status, headers, body = self.exchange("GET", path + query)
        self.assertEqual((status, headers["cache-control"], body), (200, "no-store", posted))
        status, headers, body = self.exchange("POST", path, b"\n\x06getter",
                                              content_type="application/proto")
        self.assertEqual((status, headers["content-type"]), (200, "application/proto"))
        status, _, got = self.exchange("GET", path + "?encoding=proto&base64=1&message=CgZnZXR0ZXI")
        self.assertEqual((status, got), (200, body))

    def test_the_body_is_json_in_utf8_or_protobuf_and_nothing_else(self):
        path, body = SERVICE + "GetBalance", b'{"accountId":"a"}'
        for taken in [JSON, JSON + "; charset=utf-8", JSON + ";charset=UTF-8", "Application/JSON",
                      JSON + '; charset="utf-8"', JSON + " ; charset=utf-8"]:
            self.assertEqual(self.exchange("POST", path, body, content_type=taken)[0], 200, taken)
        for refused in ["text/plain", "application/proto; x=y", "application/x-www-form-urlencoded",
                        "application/connect+json", "application/jsonx", "application/grpc-web",
                        JSON + "; charset=latin1", "", "json", "application/grpc"]:
            self.assertUnimplemented(self.exchange("POST", path, body, content_type=refused), 415)
        self.assertUnimplemented(self.exchange("POST", path, body), 415)
        self.assertUnimplemented(
            self.exchange("POST", path, body, content_type=JSON, content_encoding="gzip"), 415)

    def test_what_is_no_http_is_refused_with_an_error_info(self):
        for request, status, wanted in [
                (b"GET /livez\r\n\r\n", 400, "INVALID_REQUEST"),
                (b"\x16\x03\x01" + b"\xff" * 50, 400, "INVALID_REQUEST"),
                (head("Add", 2, "content-length: 3") + b"{}", 400, "INVALID_REQUEST"),
                (head("Add", None, "transfer-encoding: chunked") + b"x\r\n", 400, "INVALID_REQUEST"),
                (head("Add", 2, "expect: a miracle") + b"{}", 417, "INVALID_REQUEST"),
                (head("Add", 2, "x: " + "x" * 20000) + b"{}", 431, "REQUEST_TOO_LARGE"),
                (head("Add", None, "transfer-encoding: gzip"), 501, "UNIMPLEMENTED"),
                (b"GET / HTTP/3.0\r\nhost: x\r\n\r\n", 505, "UNIMPLEMENTED")]:
            for end_of_input in [False, True]:
                answer = raw(self.server.address, request, end_of_input)
                top, body = answer.split(b"\r\n\r\n", 1)
                self.assertEqual(int(top.split()[1]), status, answer)
                self.assertIn(b"connection: close", top)
                self.assertEqual(reason(json.loads(body)), (wanted, "no", "never"))

    def test_connect_timeout_ms_is_1_to_10_digits(self):
        path, body = SERVICE + "GetBalance", b'{"accountId":"a"}'
        for taken in ["60000", "9999999999", "0000060000"]:
            status, _, answer = self.exchange("POST", path, body, content_type=JSON,
                                              connect_timeout_ms=taken)
            self.assertEqual(status, 200, (taken, answer))
        for refused in ["", "-1", "+1", "1.5", "1s", "12345678901", "0x10", "1 2", "abc"]:
            status, _, answer = self.exchange("POST", path, body, content_type=JSON,
                                              connect_timeout_ms=refused)
            self.assertEqual((status, reason(json.loads(answer))),
                             (400, ("INVALID_REQUEST", "no", "never")), refused)
        twice = raw(self.server.address, head("GetBalance", len(body), "connect-timeout-ms: 1000",
                                              "connect-timeout-ms: 1000", "connection: close") +
                    body)
        self.assertTrue(twice.startswith(b"HTTP/1.1 400 "), twice)

    def test_a_deadline_that_has_passed_is_told_and_settled_by_a_repeat(self):
        body = json.dumps(add("late", "late", points=1)).encode()
        status, _, answer = self.post("Add", body, {"connect-timeout-ms": "0"})
        if status != 200:
            self.assertEqual((status, reason(json.loads(answer))),
                             (504, ("DEADLINE_EXCEEDED", "unknown", "same_request")))
        self.assertEqual(self.post("Add", body)[0], 200)
        self.assertEqual(self.server.balance("late"), 1)

    def test_health(self):
        for path in ["/livez", "/readyz", "/livez?verbose=1"]:
            status, headers, body = self.exchange("GET", path)
            self.assertEqual((status, body), (200, b"ok"))
            self.assertTrue(headers["content-type"].startswith("text/plain"))

    def test_head_has_the_headers_and_no_body(self):
        answer = raw(self.server.address, b"HEAD /livez HTTP/1.1\r\nhost: x\r\n\r\n"
                                          b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n")
        first, second = answer.split(b"HTTP/1.1 ")[1:]
        self.assertTrue(first.startswith(b"200 "), first)
        self.assertIn(b"content-length: 2\r\n", first)
        self.assertTrue(first.endswith(b"\r\n\r\n"), first)
        self.assertTrue(second.endswith(b"\r\n\r\nok"), second)

    def test_keep_alive_until_either_side_says_close(self):
        connection = http.client.HTTPConnection(self.server.address, timeout=30)
        self.addCleanup(connection.close)
        connection.connect()
        socket_at_first = connection.sock
        for _ in range(50):
            connection.request("POST", SERVICE + "GetBalance", b'{"accountId":"a"}',
                               {"content-type": JSON})
            answer = connection.getresponse()
            self.assertEqual(answer.status, 200)
            answer.read()
            self.assertIs(connection.sock, socket_at_first)
        # An error of the request is no reason to close.
        connection.request("POST", SERVICE + "GetBalance", b"x", {"content-type": JSON})
        self.assertEqual(connection.getresponse().read()[:1], b"{")
        self.assertIs(connection.sock, socket_at_first)
        body = b'{"accountId":"a"}'
        closed = raw(self.server.address, head("GetBalance", len(body), "connection: close") + body,
                     end_of_input=False)
        self.assertIn(b"connection: close\r\n", closed)
        old = raw(self.server.address, b"GET /livez HTTP/1.0\r\n\r\n", end_of_input=False)
        self.assertTrue(old.endswith(b"ok"), old)

    def test_requests_sent_ahead_are_answered_in_their_order(self):
        requests = b""
        for i in range(300):
            body = b'{"accountId":"ahead-%d"}' % i
            requests += head("GetBalance", len(body)) + body
        answers = raw(self.server.address, requests)
        told = re.findall(rb'"accountId":"ahead-(\d+)"', answers)
        self.assertEqual([int(each) for each in told], list(range(300)))
        self.assertEqual(answers.count(b"HTTP/1.1 200 OK\r\n"), 300)

    def test_writes_sent_ahead_take_effect_once_each_and_in_their_order(self):
        requests = b""
        for i in range(50):
            for verb in ["Add", "Consume"]:
                body = json.dumps(add(f"ahead-{verb}-{i}", "ahead", points=3)).encode()
                requests += head(verb, len(body)) + body
        answers = raw(self.server.address, requests)
        self.assertEqual(answers.count(b"HTTP/1.1 200 OK\r\n"), 100)
        self.assertEqual(self.server.balance("ahead"), 0)

    def test_a_chunked_upload(self):
        body = json.dumps(add("chunked", "chunked", points=7)).encode()
        for size in [1, 7, len(body)]:
            chunks = b"".join(b"%x;name=value\r\n%s\r\n" % (len(piece), piece) for piece in
                              (body[i:i + size] for i in range(0, len(body), size)))
            answer = raw(self.server.address,
                         head("Add", None, "transfer-encoding: chunked", "connection: close") +
                         chunks + b"0\r\ntrailer: x\r\n\r\n")
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer)
        self.assertEqual(self.server.balance("chunked"), 7)
        large = (b"100000\r\n" + b" " * (1 << 20) + b"\r\n") * 5 + b"0\r\n\r\n"
        answer = raw(self.server.address, head("Add", None, "transfer-encoding: chunked") + large)
        self.assertTrue(answer.startswith(b"HTTP/1.1 429 "), answer)
        self.assertIn(b"REQUEST_TOO_LARGE", answer)

    def test_expect_100_continue(self):
        body = json.dumps(add("expect", "expect", points=7)).encode()
        host, port = self.server.address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(head("Add", len(body), "expect: 100-continue", "connection: close"))
            self.assertEqual(connection.recv(100), b"HTTP/1.1 100 Continue\r\n\r\n")
            connection.sendall(body)
            self.assertTrue(connection.recv(100).startswith(b"HTTP/1.1 200 OK\r\n"))
        # A body that will not be taken is refused before it is sent.
        answer = raw(self.server.address, head("Add", 5 << 20, "expect: 100-continue"),
                     end_of_input=False)
        self.assertTrue(answer.startswith(b"HTTP/1.1 429 "), answer)
        answer = raw(self.server.address, head("Add", 2, "expect: miracle"), end_of_input=False)
        self.assertTrue(answer.startswith(b"HTTP/1.1 417 "), answer)

    def test_every_cut_of_a_request_into_two_reads_gives_the_same_answer(self):
        body = b'{"accountId":"cut"}'
        request = head("GetBalance", len(body), "connection: close", "x-request-id: cut") + body
        whole = raw(self.server.address, request)
        host, port = self.server.address.rsplit(":", 1)
        for cut in range(1, len(request), 7):
            with socket.create_connection((host, int(port)), timeout=30) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(request[:cut])
                connection.sendall(request[cut:])
                answer = b""
                while piece := connection.recv(65536):
                    answer += piece
            self.assertEqual(answer, whole)


@unittest.skipUnless(shutil.which("curl"), "curl is not installed")
class Curl(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.__exit__, None, None, None)
        self.server.start()

    def curl(self, version, method, body, *more):
        done = subprocess.run(
            ["curl", "-sS", version, "-o", "-", "-w", "\n%{http_code} %{content_type}", "-H",
             f"content-type: {JSON}", *more, "--data-binary", "@-",
             f"http://{self.server.address}{SERVICE}{method}"],
            input=body, capture_output=True, timeout=60, check=True)
        return done.stdout

    def test_http2_gives_the_bytes_that_http1_gives(self):
        calls = [("Add", json.dumps({**add("t", points=5), "description": "\u6b8b\u9ad8"}).encode()),
                 ("Add", json.dumps(add("t", points=6)).encode()),
                 ("Consume", json.dumps(add("t2", points=6)).encode()),
                 ("GetBalance", b'{"accountId":"alice"}'), ("GetTransaction", b'{"transactionId":"t"}'),
                 ("ListEntries", b'{"accountId":"alice"}'), ("Add", b""), ("Add", b"{}"),
                 ("Add", b"\xff"), ("Nothing", b"{}"), ("Add", b" " * ((4 << 20) + 1))]
        for method, body in calls:
            first = self.curl("--http1.1", method, body)
            second = self.curl("--http2-prior-knowledge", method, body)
            self.assertEqual(first, second, method)
            self.assertRegex(first.rsplit(b"\n", 1)[1], rb"^[2-5]\d\d application/json$")
        self.assertEqual(self.server.balance("alice"), 5)
        headers = [subprocess.run(
            ["curl", "-sS", version, "-D", "-", "-o", "/dev/null", "-H", f"content-type: {JSON}",
             "-H", "x-request-id: same", "-d", json.dumps(add("t", points=5)),
             f"http://{self.server.address}{SERVICE}Add"],
            capture_output=True, timeout=60, check=True).stdout.split(b"\r\n")[1:]
            for version in ["--http1.1", "--http2-prior-knowledge"]]
        self.assertEqual(headers[0], headers[1])
        self.assertIn(b"zandaka-replayed: true", headers[0])


if __name__ == "__main__":
    if not shutil.which("curl"):
        print("curl is not installed: nothing was tested", file=sys.stderr)
        sys.exit(77)
    unittest.main()
