#!/usr/bin/python3
"""The log from outside: request ids and traces, slow requests, levels, JSON, and hostile texts."""
import json
import re
import unittest

from server import Grpc, SERVICE, Server, add

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


class Log(unittest.TestCase):
    def lines(self, server, text="a request"):
        return [line for line in server.log_text().splitlines() if f" {text} " in line]

    def test_ids_come_back(self):
        """One that is well-formed as it is; else one that is made, and never twice."""
        with Server() as server:
            def request_id(**headers):
                return server.call("GetBalance", {"accountId": "a"},
                                   {k.replace("_", "-"): v for k, v in headers.items()})[1][
                                       "x-request-id"]

            for own in ["r", "a" * 64, "a/b:c=d\"e\\"]:
                self.assertEqual(request_id(x_request_id=own), own)
            for wrong in ["a" * 65, "a b", "a\tb"]:
                self.assertRegex(request_id(x_request_id=wrong), r"\A[0-9a-f]{16}\Z")
            made = {request_id() for _ in range(50)}
            self.assertEqual(len(made), 50)
            # An error has one too, over gRPC as well, and so has what is no method.
            self.assertIn("x-request-id", server.call("GetBalance", {})[1])
            grpc = Grpc(server.address)
            self.addCleanup(grpc.close)
            call = grpc.channel.unary_unary(SERVICE + "GetBalance")
            _, ok = call.with_call(b"\n\1a", metadata=[("x-request-id", "mine")], timeout=30)
            self.assertIn(("x-request-id", "mine"), ok.initial_metadata())
            with self.assertRaises(grpc.grpc.RpcError) as error:
                call(b"", metadata=[("x-request-id", "yours")], timeout=30)
            metadata = (*error.exception.initial_metadata(), *error.exception.trailing_metadata())
            self.assertIn(("x-request-id", "yours"), metadata)

    def test_each_request_at_level_debug(self):
        with Server("[log]\nlevel = debug\n") as server:
            server.call("Add", add("t", "secret-account", points=1),
                        {"x-request-id": "one", "traceparent": PARENT})
            for wrong in [PARENT.upper(), PARENT[:-1], f"01{PARENT[2:]}",
                          PARENT.replace(TRACE, "0" * 32)]:
                server.call("Add", add("t", points=2), {"x-request-id": "two",
                                                        "traceparent": wrong})
            server.get("/livez")
            self.assertEqual(server.stop(), 0)
            one, *two, page = self.lines(server)
            self.assertRegex(one, r"\A\S+Z debug: a request path=/zandaka\.v1\.BalanceService/Add "
                                  r"http_status=200 duration_ms=\d+\.\d{3} request_id=one "
                                  f"trace_id={TRACE}\\Z")
            self.assertEqual(len(two), 4)
            for line in two:
                self.assertRegex(line, r" http_status=400 duration_ms=\S+ request_id=two\Z")
            self.assertIn("path=/livez", page)
            self.assertNotIn("secret-account", server.log_text())

    def test_a_streamed_call_has_one_line_when_it_ends_and_is_never_slow(self):
        with Server("[log]\nlevel = debug\nslow_ms = 1\n") as server:
            grpc = Grpc(server.address)
            watch = grpc.channel.unary_stream("/grpc.health.v1.Health/Watch")(
                b"", timeout=0.1, metadata=[("x-request-id", "watch")])
            self.assertIn(("x-request-id", "watch"), watch.initial_metadata())
            with self.assertRaises(grpc.grpc.RpcError):
                list(watch)
            grpc.close()
            self.assertEqual(server.stop(), 0)
            (line,) = [each for each in server.log_text().splitlines() if "/Watch" in each]
            self.assertRegex(line, r"Z debug: a request path=/grpc\.health\.v1\.Health/Watch "
                                   r"grpc_status=(4|1|gone) duration_ms=\S+ request_id=watch\Z")

    def test_no_request_below_it(self):
        for level in ["info", "warn", "error"]:
            with Server(f"[log]\nlevel = {level}\n") as server:
                server.call("Add", add("t", points=1))
                self.assertEqual(server.stop(), 0)
                self.assertEqual(self.lines(server), [])
                self.assertEqual("draining" in server.log_text(), level == "info")

    def test_json_is_json_and_one_line_is_one_line(self):
        hostile = ['/"},{"level":"error', "/\u007f\u001b[31m", "/a%0ab", "/\\", "/" + "x" * 4000]
        with Server("[log]\nlevel = debug\nformat = json\n") as server:
            import socket
            for path in hostile:
                with socket.create_connection(server.address.split(":")) as connection:
                    connection.sendall(b"GET " + path.encode() +
                                       b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                    while connection.recv(65536):
                        pass
            server.call("GetBalance", {"accountId": "a"}, {"x-request-id": 'x"}\\{"level":"error'})
            self.assertEqual(server.stop(), 0)
            lines = [json.loads(line) for line in server.log_text().splitlines()
                     if line.startswith("{")]
            self.assertLessEqual({line["level"] for line in lines}, {"debug", "info", "warning"})
            self.assertIn('x"}\\{"level":"error', [line.get("request_id") for line in lines])
            for line in lines:
                self.assertRegex(line["time"], r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")
                self.assertLessEqual(len(line.get("path", "")), 128)

    def test_slow_requests_are_told_and_no_more_than_ten_a_second(self):
        with Server("[log]\nslow_ms = 1\n") as server:
            # A batch of the largest Submits takes longer than a millisecond.
            for round_number in range(30):
                commands = [{"add": add(f"{round_number}-{i}", points=1)} for i in range(1024)]
                self.assertEqual(server.call("Submit", {"commands": commands})[0], 200)
            self.assertEqual(server.stop(), 0)
            lines = self.lines(server, "a slow request")
            self.assertGreater(len(lines), 0)
            seconds = [re.match(r"\S{19}", line)[0] for line in lines]
            # A second of the monotonic clock overlaps two of the wall's.
            for second in set(seconds):
                self.assertLessEqual(seconds.count(second), 20)
            told = len(lines) + sum(int(n) for n in re.findall(r"slow_unlogged=(\d+)",
                                                               server.log_text()))
            self.assertLessEqual(told, 30)
        with Server("[log]\nslow_ms = 0\n") as server:
            self.assertEqual(server.call("Submit", {"commands": commands})[0], 200)
            self.assertEqual(server.stop(), 0)
            self.assertEqual(self.lines(server, "a slow request"), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
