#!/usr/bin/python3
"""What a storm by one caller costs another: a quiet caller adds one amount after the other, over one
connection, while h2load sends as much as it can in another caller's name, or in the quiet one's own.

    scripts/storm.py [--binary FILE]... [--rounds N] [--seconds N] [--connections N] [--streams N]

Prints the quiet caller's latencies in each round, and the medians' ratios: the share travels, the
milliseconds are the machine's. What depends on neither is how many calls of the storm are answered in
the time of one of the quiet caller's. Several binaries take turns, so that what the machine does besides
meets all of them. Servers, stores and storms are started and ended here.
"""
import argparse
import hashlib
import http.client
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

PATH = "/zandaka.v1.BalanceService/Add"


CALLERS = {"quiet": "", "storm": "", "limited": "rate = 1000\n"}


def start_server(binary, directory):
    (directory / "callers.ini").write_text("".join(
        f"[caller.{name}]\ntoken_sha256 = {hashlib.sha256(name.encode()).hexdigest()}\n{more}"
        for name, more in CALLERS.items()))
    (directory / "zandaka.ini").write_text(f"[callers]\nfile = {directory}/callers.ini\n")
    log = open(directory / "log", "wb")
    process = subprocess.Popen(
        [binary, "serve", "--config", str(directory / "zandaka.ini"), "--listen", "127.0.0.1:0",
         "--store", f"rocksdb:{directory}/store", "--address-file", str(directory / "address")],
        stdout=log, stderr=log)
    while not (directory / "address").exists():
        if process.poll() is not None:
            sys.exit((directory / "log").read_text())
        time.sleep(0.01)
    return process, (directory / "address").read_text().strip()


def start_storm(address, directory, token, options):
    body = directory / "body"
    body.write_text(json.dumps({"transactionId": "storm", "accountId": "storm",
                                "amounts": [{"kind": "points", "amount": 1}]}))
    return subprocess.Popen(
        ["h2load", "-c", str(options.connections), "-m", str(options.streams), "-D", "3600", "-d",
         str(body), "-H", "content-type: application/json", "-H",
         f"authorization: Bearer {token}", f"http://{address}{PATH}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def count_answered(address):
    """Calls that the server has answered, of all callers."""
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("GET", "/metrics", headers={"authorization": "Bearer quiet"})
    text = connection.getresponse().read().decode()
    connection.close()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
               if line.startswith("grpc_server_handled_total{"))


class Quiet:
    """Adds one after the other; counts answers that are no success."""

    def __init__(self, address):
        self.connection = http.client.HTTPConnection(address, timeout=60)
        self.number = 0
        self.refused = 0

    def call(self, seconds):
        latencies = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            self.number += 1
            message = {"transactionId": f"quiet-{self.number}", "accountId": "quiet",
                       "amounts": [{"kind": "points", "amount": 1}]}
            began = time.perf_counter()
            self.connection.request("POST", PATH, json.dumps(message),
                                    {"content-type": "application/json",
                                     "authorization": "Bearer quiet"})
            answer = self.connection.getresponse()
            answer.read()
            latencies.append((time.perf_counter() - began) * 1000)
            self.refused += answer.status != 200
        latencies.sort()
        return latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100], len(latencies)


STORMS = {"no storm": None, "another caller's storm": "storm",
          "that of one with rate = 1000": "limited", "its own storm": "quiet"}


class Server:
    """One binary under test, with its quiet caller."""

    def __init__(self, binary):
        self.name = binary
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="zandaka-storm-"))
        self.process, self.address = start_server(binary, self.directory)
        self.quiet = Quiet(self.address)
        self.found = {name: [] for name in STORMS}

    def measure(self, name, options):
        token = STORMS[name]
        storm = start_storm(self.address, self.directory, token, options) if token else None
        try:
            if storm:
                self.quiet.call(1)  # until it is at its height
            refused = self.quiet.refused
            answered = count_answered(self.address)
            p50, p99, n = self.quiet.call(options.seconds)
            others = (count_answered(self.address) - answered - n) / n
        finally:
            if storm:
                storm.terminate()
                storm.wait()
        self.found[name].append((p50, p99, others))
        return (f"{n} calls, {self.quiet.refused - refused} refused, p50 {p50:.2f} ms, "
                f"p99 {p99:.2f} ms, {others:.0f} others answered in the time of one")

    def print_medians(self):
        medians = {name: [statistics.median(column) for column in zip(*rows)]
                   for name, rows in self.found.items()}
        for name, (p50, p99, others) in medians.items():
            print(f"{self.name}, {name}: p50 {p50:.2f} ms, p99 {p99:.2f} ms (medians of "
                  f"{len(self.found[name])}); p99 is {p99 / medians['no storm'][1]:.1f} times that "
                  f"without; {others:.0f} others answered in the time of one")

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.directory)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", action="append", help="may be given again: they take turns")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--streams", type=int, default=100)
    options = parser.parse_args()
    if shutil.which("h2load") is None:
        sys.exit("needs h2load (Debian: nghttp2-client)")
    servers = []
    try:
        for binary in options.binary or ["build/release/zandaka"]:
            servers.append(Server(binary))
        for number in range(options.rounds):
            for name in STORMS:
                for server in servers:
                    print(f"round {number + 1}, {server.name}, {name}: "
                          f"{server.measure(name, options)}", flush=True)
        for server in servers:
            server.print_medians()
    finally:
        for server in servers:
            server.close()


if __name__ == "__main__":
    main()
