#!/usr/bin/python3
"""/metrics says what has happened, in words that Prometheus takes, and nothing that a caller chose."""
import re
import socket
import unittest

import promtool
from server import Grpc, SERVICE, Server, add

CONFIG = """
[kind.points]
[kind.money]
"""


def parse(text):
    """{name{labels}: value}, with the labels in their order."""
    samples = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            assert name not in samples, f"{name} comes twice"
            samples[name] = float(value)
    return samples


class Metrics(unittest.TestCase):
    def setUp(self):
        self.server = Server(CONFIG).start()
        self.addCleanup(self.server.__exit__, None, None, None)

    def text(self):
        status, body = self.server.get("/metrics")
        self.assertEqual(status, 200)
        return body.decode()

    def changes(self, do):
        """What `do` changed, but for the clock, the process and sums of time."""
        before = parse(self.text())
        do()
        after = parse(self.text())
        self.assertLessEqual(before.keys(), after.keys())
        return {name: value - before.get(name, 0) for name, value in after.items()
                if value != before.get(name, 0) and not name.startswith("process_")
                and "_bucket" not in name and "_sum" not in name and "_seconds_total" not in name
                and not name.startswith("zandaka_connections")}

    def call(self, *arguments, status):
        self.assertEqual(self.server.call(*arguments)[0], status)

    def method(self, name, family, **labels):
        rest = "".join(f',{key}="{value}"' for key, value in labels.items())
        service = "other" if name == "other" else SERVICE.strip("/")
        return (f'grpc_server_{family}{{grpc_type="unary",grpc_service="{service}",'
                f'grpc_method="{name}"{rest}}}')

    def handled(self, name, code, times=1):
        return {self.method(name, "started_total"): times,
                self.method(name, "handled_total", grpc_code=code): times,
                self.method(name, "handling_seconds_count"): times}

    def test_outcomes(self):
        """One call each: by its method and status, and the command by what became of it."""
        written = {"zandaka_batch_commands_count": 1, "zandaka_durable_seconds_count": 1}

        def outcome(name):
            return {f'zandaka_commands_total{{outcome="{name}"}}': 1, **written}

        def error(name):
            return {f'zandaka_call_errors_total{{reason="{name}"}}': 1}

        cache = "zandaka_account_cache_"
        rows = [
            ("Add", add("a", points=5), 200,
             {**self.handled("Add", "OK"), **outcome("applied"), cache + "misses_total": 1}),
            ("Add", add("a", points=5), 200,
             {**self.handled("Add", "OK"), **outcome("replayed"), cache + "hits_total": 1}),
            ("Add", add("a", points=6), 400,
             {**self.handled("Add", "InvalidArgument"), **outcome("TRANSACTION_ID_REUSED"),
              **error("TRANSACTION_ID_REUSED"), cache + "hits_total": 1}),
            ("Consume", add("b", points=6), 400,
             {**self.handled("Consume", "FailedPrecondition"), **outcome("INSUFFICIENT_BALANCE"),
              **error("INSUFFICIENT_BALANCE"), cache + "hits_total": 1}),
            ("Cancel", {"transactionId": "b"}, 200,
             {**self.handled("Cancel", "OK"), **outcome("applied")}),
            ("Add", add("", points=6), 400,
             {**self.handled("Add", "InvalidArgument"), **error("INVALID_REQUEST")}),
            ("GetBalance", {"accountId": "alice"}, 200, self.handled("GetBalance", "OK")),
            ("GetTransaction", {"transactionId": "none"}, 404,
             {**self.handled("GetTransaction", "NotFound"), **error("TRANSACTION_NOT_FOUND")}),
        ]
        for method, message, status, expected in rows:
            with self.subTest(method=method, expected=expected):
                self.assertEqual(self.changes(lambda: self.call(method, message, status=status)),
                                 expected)

    def test_a_submit_counts_as_one_call_and_each_command(self):
        commands = [{"add": add(f"s-{i % 3}", points=1)} for i in range(5)]
        self.assertEqual(
            self.changes(lambda: self.call("Submit", {"commands": commands}, status=200)),
            {**self.handled("Submit", "OK"), 'zandaka_commands_total{outcome="applied"}': 3,
             'zandaka_commands_total{outcome="replayed"}': 2, "zandaka_batch_commands_count": 1,
             "zandaka_durable_seconds_count": 1, "zandaka_account_cache_misses_total": 1})

    def test_grpc_and_what_is_no_method(self):
        grpc = Grpc(self.server.address)
        self.addCleanup(grpc.close)

        def unknown():
            for path in ["/zandaka.v1.BalanceService/Nothing", "/x.\"y{}/Z", SERVICE + "add"]:
                with self.assertRaises(grpc.grpc.RpcError):
                    grpc.channel.unary_unary(path)(b"", timeout=30)

        self.assertEqual(self.changes(unknown),
                         {**self.handled("other", "Unimplemented", 3),
                          'zandaka_call_errors_total{reason="UNIMPLEMENTED"}': 3})
        changed = self.changes(lambda: grpc.add("g", "alice", points=1))
        self.assertEqual(changed[self.method("Add", "handled_total", grpc_code="OK")], 1)

    def test_pages_are_no_calls(self):
        def pages():
            for path in ["/livez", "/readyz", "/metrics", "/wp-login.php"]:
                self.server.get(path)

        self.assertEqual(self.changes(pages), {})

    def test_what_there_is_now(self):
        samples = parse(self.text())
        self.assertEqual(samples["zandaka_ready"], 1)
        self.assertEqual(samples["zandaka_connections"], 1)
        self.assertEqual(samples["zandaka_inflight_bytes"], 0)
        self.assertEqual(samples["zandaka_queue_commands_max"], 16384)
        self.assertGreater(samples["process_resident_memory_bytes"], 1 << 20)
        self.assertGreater(samples["process_open_fds"], 5)
        idle = [socket.create_connection(self.server.address.split(":")) for _ in range(20)]
        for each in idle:  # an answer: it is there
            each.sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
            each.recv(1000)
        samples = parse(self.text())
        self.assertEqual(samples["zandaka_connections"], 21)
        self.assertGreater(samples["process_open_fds"], 25)
        for each in idle:
            each.close()

    def test_the_buckets_of_a_histogram_add_up(self):
        for i in range(20):
            self.call("Add", add(f"h-{i}", points=1), status=200)
        samples = parse(self.text())
        families = {}
        for name, value in samples.items():
            match = re.fullmatch(r'(\w+)_bucket\{(.*?),?le="([^"]+)"\}', name)
            if match:
                families.setdefault(match[1] + "_count" + (f"{{{match[2]}}}" if match[2] else ""),
                                    []).append((float(match[3]), value))
        self.assertGreater(len(families), 10)
        for count, buckets in families.items():
            self.assertEqual(buckets, sorted(buckets), count)
            self.assertEqual([value for _, value in buckets],
                             sorted(value for _, value in buckets), count)
            self.assertEqual((buckets[-1][0], buckets[-1][1]), (float("inf"), samples[count]))
        self.assertEqual(samples["zandaka_durable_seconds_count"], 20)

    def test_the_time_of_a_batch_by_phase(self):
        self.call("Add", add("phases", points=1), status=200)
        samples = parse(self.text())
        for phase in ("load", "decide", "commit", "answer"):
            self.assertGreater(samples[f'zandaka_batch_phase_seconds_total{{phase="{phase}"}}'], 0)

    def test_nothing_that_a_caller_chose(self):
        self.call("Add", add("my-own-id", account="my-own-account", points=1), status=200)
        self.server.call("my-own-method", {})
        self.assertNotIn("my-own", self.text())

    def test_prometheus_takes_it(self):
        for text in (self.text(), promtool.all_metrics()):
            checked = promtool.run("check", "metrics", input=text)
            self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, "", ""))

    def test_operations_md_lists_all_of_them(self):
        """A name that is not explained helps nobody, and one that is gone misleads."""
        families = set(re.findall(r"^# TYPE (\S+) ", promtool.all_metrics(), re.M))
        document = (promtool.SOURCE / "docs/operations.md").read_text()
        listed = set(re.findall(r"^\| `((?:zandaka|grpc_server|process)_\w+)` ", document, re.M))
        self.assertEqual(families, listed)


if __name__ == "__main__":
    promtool.skip_without()
    unittest.main(verbosity=2)
