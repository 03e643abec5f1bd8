#!/usr/bin/env python3
"""Connect's conformance runner and gRPC's interop client, neither of them ours, against
zandaka_conformance: run.py BUILD. Exit status 77, with the reason, where Go or their modules cannot be
had."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOOLS = {"connectconformance": "connectrpc.com/conformance/cmd/connectconformance@v1.0.7",
         "client": "google.golang.org/grpc/interop/client@v1.85.0"}
# All cases of the interop client but those about credentials, balancing and load reports.
INTEROP = ["empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong",
           "empty_stream", "timeout_on_sleeping_server", "cancel_after_begin",
           "cancel_after_first_response", "status_code_and_message", "special_status_message",
           "custom_metadata", "unimplemented_method", "unimplemented_service"]


def skip(reason):
    print(f"SKIPPED: {reason}", file=sys.stderr)
    sys.exit(77)


def tools(directory):
    """Builds what is missing of the tools, with the Go that is there."""
    if not shutil.which("go"):
        skip("there is no go: apt-get install golang-go")
    directory.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ, GOTOOLCHAIN="local", GOBIN=str(directory))
    for name, module in TOOLS.items():
        if not (directory / name).exists():
            built = subprocess.run(["go", "install", module], env=environment, text=True,
                                   capture_output=True)
            if built.returncode:
                skip(f"{module} cannot be built: {built.stderr.strip().splitlines()[-1]}")
    return directory


def interop(binary, client):
    """True: every case ended well."""
    with subprocess.Popen([binary, "--listen", "127.0.0.1:0"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as server:
        host, port = server.stdout.readline().strip().rsplit(":", 1)
        failed = []
        for case in INTEROP:
            run = subprocess.run([client, "-server_host", host, "-server_port", port,
                                  "-test_case", case], text=True, capture_output=True, timeout=60)
            print(f"interop {case}: {'passed' if run.returncode == 0 else 'FAILED'}", flush=True)
            if run.returncode:
                failed.append(case)
                print(run.stdout + run.stderr)
        server.stdin.close()
        status = server.wait(timeout=30)
    print(f"interop: {len(INTEROP) - len(failed)} of {len(INTEROP)} passed")
    return not failed and status == 0


def conformance(binary, runner):
    """True: all passed but those that are known to fail, and these did."""
    run = subprocess.run([runner, "--mode", "server", "--conf", HERE / "config.yaml",
                          "--known-failing", f"@{HERE / 'known-failing.txt'}", "-p", "4",
                          "--max-servers", "2", "--", binary], text=True, capture_output=True,
                         timeout=300)
    print(run.stdout + run.stderr)
    total = re.search(r"Total cases: (\d+)", run.stdout + run.stderr)
    return run.returncode == 0 and total and int(total[1]) >= 260


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    directory = tools(build / "conformance")
    binary = build / "zandaka_conformance"
    passed = [interop(binary, directory / "client"),
              conformance(binary, directory / "connectconformance")]
    sys.exit(0 if all(passed) else 1)


if __name__ == "__main__":
    main()
