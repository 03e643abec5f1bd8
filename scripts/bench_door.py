#!/usr/bin/python3
"""gRPC against JSON over HTTP/2 and HTTP/1.1, by h2load: calls a second, and the server's processor time
for each call, of a read and of a repeated write. scripts/bench_door.py BINARY MESSAGES [ROUNDS]

BINARY is zandaka, MESSAGES the directory of the generated Python messages (build/release/python). The
forms take turns in each round, so that whatever else the machine does meets them all; the median of the
rounds counts.
"""
import os
import pathlib
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import time

BINARY, MESSAGES = sys.argv[1:3]
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 5
SECONDS = 2
sys.path.insert(0, MESSAGES)
from google.protobuf import json_format  # noqa: E402
from zandaka.v1 import balance_service_pb2 as messages  # noqa: E402

FORMS = {
    "gRPC, 64 connections × 1": ("grpc", ["-c", "64", "-m", "1"]),
    "JSON over HTTP/2, 64 × 1": ("json", ["-c", "64", "-m", "1"]),
    "JSON over HTTP/1.1, 64 × 1": ("json", ["-c", "64", "-m", "1", "--h1"]),
    "gRPC, 8 × 100": ("grpc", ["-c", "8", "-m", "100"]),
    "JSON over HTTP/2, 8 × 100": ("json", ["-c", "8", "-m", "100"]),
}
HEADERS = {"grpc": ["-H", "content-type: application/grpc", "-H", "te: trailers"],
           "json": ["-H", "content-type: application/json"]}
ADD = messages.AddRequest(transaction_id="t", account_id="alice")
ADD.amounts.add(kind="points", amount=5)
CALLS = {"GetBalance": messages.GetBalanceRequest(account_id="alice"), "Add": ADD}


def processor_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(server, address, method, form, body, shape):
    """(calls a second, microseconds of the server's processor time for each)."""
    before = processor_seconds(server)
    told = subprocess.run(["h2load", *shape, "-t", "1", "-D", str(SECONDS), *HEADERS[form], "-d", body,
                           f"http://{address}/zandaka.v1.BalanceService/{method}"],
                          capture_output=True, text=True, check=True).stdout
    used = processor_seconds(server) - before
    calls, failed = (int(re.search(rf"(\d+) {word}", told)[1]) for word in ("succeeded", "failed"))
    if failed or not calls:
        sys.exit(told)
    return calls / SECONDS, used / calls * 1e6


def main():
    with tempfile.TemporaryDirectory() as directory:
        place = pathlib.Path(directory)
        server = subprocess.Popen([BINARY, "serve", "--listen", "127.0.0.1:0", "--store",
                                   f"rocksdb:{place}/store", "--address-file", place / "address"],
                                  stdout=subprocess.DEVNULL)
        while not (place / "address").exists():
            time.sleep(0.02)
        address = (place / "address").read_text().strip()
        for method, message in CALLS.items():
            raw = message.SerializeToString()
            (place / "grpc").write_bytes(b"\0" + struct.pack(">I", len(raw)) + raw)
            (place / "json").write_text(json_format.MessageToJson(message))
            found = {name: [] for name in FORMS}
            for _ in range(ROUNDS):
                for name, (form, shape) in FORMS.items():
                    found[name].append(measure(server, address, method, form, place / form, shape))
            for name, rounds in found.items():
                rates, costs = zip(*rounds)
                print(f"| {method} | {name} | {statistics.median(rates):,.0f} "
                      f"| {statistics.median(costs):.1f} ({min(costs):.1f}–{max(costs):.1f}) |")
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
