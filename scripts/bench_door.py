#!/usr/bin/python3
"""What the door's forms cost, by h2load: calls a second, and the server's processor time for each call,
of a read and of a repeated write: gRPC against JSON over HTTP/2 and HTTP/1.1, in plaintext against TLS,
and against other builds.

    scripts/bench_door.py BINARY MESSAGES [--rounds N] [--seconds N] [--also NAME=BINARY]...

BINARY is zandaka, MESSAGES the directory of the generated Python messages (build/release/python); --also
names a build to compare with, such as one that counts nothing. All take turns in each round, so that
whatever else the machine does meets them all. Each row is compared with the first of its shape in the
same round: the median of the ratios, least to greatest, and the same of the microseconds.
"""
import argparse
import os
import pathlib
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "outside"))
from certificates import Authority  # noqa: E402

# A name, what is spoken, whether through TLS, and how h2load is called.
LONE, MANY = ["-c", "64", "-m", "1"], ["-c", "8", "-m", "100"]
SHAPES = {
    "64 connections × 1": [
        ("gRPC", "grpc", False, LONE), ("gRPC, TLS", "grpc", True, LONE),
        ("JSON over HTTP/2", "json", False, LONE),
        ("JSON over HTTP/1.1", "json", False, [*LONE, "--h1"]),
        ("JSON over HTTP/1.1, TLS", "json", True, [*LONE, "--h1"])],
    "8 connections × 100": [
        ("gRPC", "grpc", False, MANY), ("gRPC, TLS", "grpc", True, MANY),
        ("JSON over HTTP/2", "json", False, MANY)],
}
HEADERS = {"grpc": ["-H", "content-type: application/grpc", "-H", "te: trailers"],
           "json": ["-H", "content-type: application/json"]}


def processor_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Server:
    """A server on a store of its own."""

    def __init__(self, binary, place, name, tls=None):
        self.scheme = "https" if tls else "http"
        directory = place / name
        directory.mkdir()
        (directory / "config.ini").write_text(
            f"[tls]\ncertificate = {tls[0]}\nkey = {tls[1]}\n" if tls else "")
        self.process = subprocess.Popen(
            [binary, "serve", "--config", directory / "config.ini", "--listen", "127.0.0.1:0",
             "--store", f"rocksdb:{directory}/store", "--address-file", directory / "address"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not (directory / "address").exists():
            if self.process.poll() is not None:
                sys.exit(f"{binary} does not start")
            time.sleep(0.02)
        self.address = (directory / "address").read_text().strip()

    def measure(self, method, form, place, shape, seconds):
        """(calls a second, microseconds of the server's processor time for each)."""
        before = processor_seconds(self.process)
        told = subprocess.run(
            ["h2load", *shape, "-t", "1", "-D", str(seconds), *HEADERS[form], "-d", place / form,
             f"{self.scheme}://{self.address}/zandaka.v1.BalanceService/{method}"],
            capture_output=True, text=True, check=True).stdout
        used = processor_seconds(self.process) - before
        calls, failed = (int(re.search(rf"(\d+) {word}", told)[1])
                         for word in ("succeeded", "failed"))
        if failed or not calls:
            sys.exit(told)
        return calls / seconds, used / calls * 1e6

    def close(self):
        self.process.terminate()
        self.process.wait()


def spread(numbers, digits):
    return (f"{statistics.median(numbers):.{digits}f} ({min(numbers):.{digits}f}–"
            f"{max(numbers):.{digits}f})")


def compare(rows, method, shape, place, options):
    """`rows` of one shape, (name, server, form, arguments), the first of them the measure."""
    found = {row[0]: [] for row in rows}
    for _ in range(options.rounds):
        for name, server, form, arguments in rows:
            found[name].append(server.measure(method, form, place, arguments, options.seconds))
    first = found[rows[0][0]]
    for name, rounds in found.items():
        costs = [cost for _, cost in rounds]
        ratios = [cost / base for (_, cost), (_, base) in zip(rounds, first)]
        rates = [rate / base for (rate, _), (base, _) in zip(rounds, first)]
        print(f"| {method} | {shape} | {name} | {spread(costs, 1)} | {spread(ratios, 2)} "
              f"| {spread(rates, 2)} |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("messages")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--also", action="append", default=[], metavar="NAME=BINARY")
    options = parser.parse_args()
    sys.path.insert(0, options.messages)
    from google.protobuf import json_format
    from zandaka.v1 import balance_service_pb2 as messages
    addition = messages.AddRequest(transaction_id="t", account_id="alice")
    addition.amounts.add(kind="points", amount=5)
    calls = {"GetBalance": messages.GetBalanceRequest(account_id="alice"), "Add": addition}
    servers = []
    with tempfile.TemporaryDirectory() as directory:
        place = pathlib.Path(directory)
        identity = Authority(place / "authority").sign("server", "DNS:localhost,IP:127.0.0.1")
        try:
            plain = Server(options.binary, place, "plain")
            servers.append(plain)
            secure = Server(options.binary, place, "tls", identity)
            servers.append(secure)
            others = {}
            for name, binary in (each.split("=", 1) for each in options.also):
                others[name] = Server(binary, place, name)
                servers.append(others[name])
            print("| call | in flight | form | server, microseconds a call | times the first | calls "
                  "a second, times the first |\n|---|---|---|---|---|---|")
            for method, message in calls.items():
                raw = message.SerializeToString()
                (place / "grpc").write_bytes(b"\0" + struct.pack(">I", len(raw)) + raw)
                (place / "json").write_text(json_format.MessageToJson(message))
                for shape, forms in SHAPES.items():
                    rows = [(name, secure if tls else plain, form, arguments)
                            for name, form, tls, arguments in forms]
                    rows += [(f"gRPC, {name}", server, "grpc", forms[0][3])
                             for name, server in others.items()]
                    compare(rows, method, shape, place, options)
        finally:
            for server in servers:
                server.close()


if __name__ == "__main__":
    main()
