#!/usr/bin/python3
"""The OpenAPI document is what the sources say, and what the server does: requests that it allows are
taken, answers are as it says, and one step past each limit both of them refuse.
"""
import json
import os
import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "outside"))

try:
    import jsonschema
except ImportError:
    print("SKIPPED: there is no jsonschema: apt-get install python3-jsonschema", file=sys.stderr)
    sys.exit(77)

from server import SERVICE, Server, add  # noqa: E402

DOCUMENT = json.loads((ROOT / "proto/zandaka/v1/balance_service.openapi.json").read_text())


def schema_at(*path):
    """A schema of the document, with the components that it refers to."""
    found = DOCUMENT
    for step in path:
        found = found[step]
        if "$ref" in found and len(found) == 1:
            name = found["$ref"].split("/")
            found = DOCUMENT["components"][name[2]][name[3]]
    return jsonschema.Draft202012Validator({**found, "components": DOCUMENT["components"]})


class OpenApi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(store="memory:").__enter__()
        cls.server.call("Add", add("first", points=100, money=7))

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def ask(self, method, message):
        """(whether the document allows the request, the status); the answer must be as it says."""
        operation = ("paths", SERVICE + method, "post")
        content = ("content", "application/json", "schema")
        allowed = schema_at(*operation, "requestBody", *content).is_valid(message)
        status, headers, answer = self.server.call(method, message)
        self.assertEqual(headers["content-type"], "application/json")
        schema_at(*operation, "responses", str(status), *content).validate(answer)
        return allowed, status

    def test_it_is_what_the_sources_say(self):
        done = subprocess.run(["/usr/bin/python3", ROOT / "scripts/openapi.py", "--check"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_every_method_is_in_it(self):
        self.assertLessEqual(
            {SERVICE + method for method in ("Add", "Consume", "Cancel", "Submit", "GetBalance",
                                             "BatchGetBalances", "GetTransaction", "ListEntries")},
            set(DOCUMENT["paths"]))

    def test_what_it_allows_is_taken(self):
        labels = {"description": "d" * 256, "metadata": {"k" * 64: "v" * 256}}
        edge = add("!" * 64, "~" * 64, points=10**15)
        for method, message in [
                ("Add", add("allowed-1", points="1", money=1)),
                ("Add", {**edge, **labels}),
                ("Add", {**edge, **labels}),  # a replay
                ("Consume", add("allowed-2", points=1)),
                ("Cancel", {"transactionId": "allowed-3"}),
                ("Submit", {"commands": [{"add": add("allowed-4", points=1)},
                                         {"consume": add("allowed-5", money=10**15)},
                                         {"cancel": {"transactionId": "allowed-6"}}]}),
                ("GetBalance", {"accountId": "nobody"}),
                ("BatchGetBalances", {"accountIds": ["alice"] * 1000}),
                ("GetTransaction", {"transactionId": "first"}),
                ("ListEntries", {"accountId": "alice", "kinds": ["points"], "pageSize": 1,
                                 "operations": ["OPERATION_ADD"],
                                 "startTime": "2020-01-01T00:00:00Z"})]:
            self.assertEqual(self.ask(method, message), (True, 200), (method, message))

    def test_what_it_allows_may_still_be_refused_by_the_rules(self):
        for method, message, status in [
                ("Consume", add("refused-1", "nobody", points=1), 400),
                ("Add", add("refused-2", gold=1), 400),
                ("Add", add("first", points=99), 400),
                ("Cancel", {"transactionId": "first"}, 400),
                ("GetTransaction", {"transactionId": "refused-3"}, 404)]:
            self.assertEqual(self.ask(method, message), (True, status), (method, message))

    def test_one_step_past_each_limit_both_refuse(self):
        good = add("past", points=1)
        for method, message in [
                ("Add", {**good, "transactionId": ""}),
                ("Add", {**good, "transactionId": "x" * 65}),
                ("Add", {**good, "transactionId": "zandaka:x"}),
                ("Add", {**good, "transactionId": "with space"}),
                ("Add", {**good, "accountId": "\u00e9"}),
                ("Add", {**good, "amounts": []}),
                ("Add", {"transactionId": "past", "accountId": "alice"}),
                ("Add", add("past", **{f"k{i}": 1 for i in range(17)})),
                ("Add", add("past", points=0)),
                ("Add", add("past", points=10**15 + 1)),
                ("Add", add("past", points="01")),
                ("Add", add("past", points="-1")),
                ("Add", add("past", points=1.5)),
                ("Add", add("past", Points=1)),
                ("Add", add("past", **{"k" * 33: 1})),
                ("Add", {**good, "description": "d" * 257}),
                ("Add", {**good, "metadata": {str(i): "" for i in range(17)}}),
                ("Add", {**good, "metadata": {"k" * 65: ""}}),
                ("Add", {**good, "metadata": {"": ""}}),
                ("Add", {**good, "metadata": {"k": "v" * 257}}),
                ("Add", {**good, "unknown": 1}),
                ("Cancel", {}),
                ("Submit", {"commands": []}),
                ("Submit", {"commands": [{"cancel": {"transactionId": "past"}}] * 1025}),
                ("Submit", {"commands": [{"add": good, "consume": good}]}),
                ("BatchGetBalances", {"accountIds": []}),
                ("BatchGetBalances", {"accountIds": ["a"] * 1001}),
                ("BatchGetBalances", {"accountIds": ["a b"]}),
                ("ListEntries", {"accountId": "alice", "pageSize": -1}),
                ("ListEntries", {"accountId": "alice", "pageToken": "t" * 129}),
                ("ListEntries", {"accountId": "alice", "operations": ["OPERATION_UNSPECIFIED"]}),
                ("ListEntries", {"accountId": "alice", "kinds": ["k"] * 65})]:
            self.assertEqual(self.ask(method, message), (False, 400), (method, message))


if __name__ == "__main__":
    unittest.main()
