#!/usr/bin/python3
"""h2spec, a conformance test for HTTP/2 that is not ours, against the real server: all of generic,
http2 and hpack, in plaintext and over TLS. The cases that fail, and why they stay, are docs/interop.md's
and here; one that fails besides, and one that fails no more, fails the test.

h2spec is built by Go from its module. Without Go, or without the module, the test is skipped.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

from certificates import Authority
from server import Server

MODULE = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"

# gRPC's C core resets streams that it has never begun, when a call ends before its headers went out.
# RFC 9113 makes that an error of the connection, which would cost all other calls on it.
RESETS = {"http2/5.1/2", "http2/6.4/2"}
# Priorities were given up by RFC 9113, and are passed over, also one that depends on itself.
PRIORITIES = {"http2/5.3.1/2"}
# What does not begin as HTTP/2 in plaintext is answered as HTTP/1.1 is: 400, and the end.
PREFACE = {"http2/3.5/2"}


def find_h2spec():
    """The program, built where the binary is, or the reason why there is none."""
    if not shutil.which("go"):
        return None, "there is no go: apt-get install golang-go"
    directory = pathlib.Path(os.environ["ZANDAKA"]).resolve().parent / "h2spec"
    program = directory / "h2spec"
    if not program.exists():
        done = subprocess.run(["go", "install", MODULE], capture_output=True, text=True, timeout=300,
                              env=dict(os.environ, GOBIN=str(directory), GOTOOLCHAIN="local",
                                       GOFLAGS="-buildvcs=false"))
        if done.returncode != 0:
            return None, f"h2spec cannot be built: {done.stderr.strip().splitlines()[-1]}"
    return program, None


class H2spec(unittest.TestCase):
    def run_against(self, server, *flags):
        """How many cases passed, and the names of those that failed."""
        host, port = server.address.rsplit(":", 1)
        report = server.directory / "report.xml"
        subprocess.run([str(H2SPEC), "-h", host, "-p", port, "-P", "/livez", "-j", str(report),
                        *flags, "generic", "http2", "hpack"],
                       capture_output=True, text=True, timeout=300)
        passed, failed = 0, set()
        suites = list(xml.etree.ElementTree.parse(report).getroot())
        for suite in suites:
            section = suite.get("package")
            for number, case in enumerate(suite.findall("testcase"), 1):
                name = case.get("package") or section
                if case.find("failure") is not None or case.find("error") is not None:
                    failed.add(f"{name}/{number}")
                elif case.find("skipped") is None:
                    passed += 1
        return passed, failed

    def judge(self, server, staying, *flags):
        passed, failed = self.run_against(server, *flags)
        print(f"h2spec {' '.join(flags)}: {passed} passed, {len(failed)} failed: "
              f"{' '.join(sorted(failed))}", flush=True)
        self.assertEqual(failed, staying)
        self.assertGreaterEqual(passed, 140)
        self.assertEqual(server.get_status(), 200)

    def test_plaintext(self):
        with Server(store="memory:") as server:
            server.get_status = lambda: server.get("/livez")[0]
            self.judge(server, RESETS | PRIORITIES | PREFACE)

    def test_tls(self):
        with tempfile.TemporaryDirectory(prefix="zandaka-h2spec-") as directory:
            certificate, key = Authority(directory).sign("server", "DNS:localhost,IP:127.0.0.1")
            with Server(f"[tls]\ncertificate = {certificate}\nkey = {key}\n",
                        store="memory:") as server:
                server.get_status = lambda: 200 if server.process.poll() is None else 0
                self.judge(server, RESETS | PRIORITIES, "-t", "-k")


if __name__ == "__main__":
    H2SPEC, missing = find_h2spec()
    if missing:
        print(f"SKIPPED: {missing}", file=sys.stderr)
        sys.exit(77)
    unittest.main()
