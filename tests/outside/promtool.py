"""Debian's promtool: from the PATH, or as scripts/deps.sh unpacked it. None: there is none."""
import os
import pathlib
import shutil
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]


def promtool():
    unpacked = SOURCE / "build/promtool/usr/bin/promtool"
    return shutil.which("promtool") or (str(unpacked) if unpacked.exists() else None)


def run(*arguments, **options):
    return subprocess.run([promtool(), *arguments], capture_output=True, text=True, timeout=120,
                          **options)


def skip_without():
    """Ends the test as skipped, loudly, where there is no promtool."""
    if promtool() is None:
        print("promtool is not there (scripts/deps.sh test brings it): nothing was tested",
              file=sys.stderr)
        os._exit(77)


def all_metrics():
    """/metrics of a server that has all families: callers are configured, and one asks for it."""
    import hashlib
    import http.client
    import tempfile
    from server import Server
    with tempfile.NamedTemporaryFile("w", suffix=".ini") as callers:
        callers.write("[caller.prometheus]\n"
                      f"token_sha256 = {hashlib.sha256(b'scraper').hexdigest()}\n")
        callers.flush()
        with Server(f"[callers]\nfile = {callers.name}\n", store="memory:") as server:
            connection = http.client.HTTPConnection(server.address, timeout=30)
            connection.request("GET", "/metrics", headers={"authorization": "Bearer scraper"})
            answer = connection.getresponse()
            text = answer.read().decode()
            connection.close()
            assert answer.status == 200, text
            return text
