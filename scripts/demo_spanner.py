#!/usr/bin/env python3
"""The main job on Google's emulator of Cloud Spanner: the same bank's transactions, imported while
the server is killed again and again. Nothing is left behind.

    scripts/demo_spanner.py build/release/zandaka
"""
import os
import pathlib
import shutil
import sys
import tempfile

import demo

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "outside"))
# The emulator takes seconds for a commit of many rows.
demo.KILLS = 2
demo.TIMEOUT_S = 3600


class SpannerDemo(demo.Demo):
    timeout_s = "600"
    read_timeout_s = 600

    def __init__(self, binary, directory, emulator):
        super().__init__(binary, directory)
        self.store = emulator.new_store()


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "build/release/zandaka"
    os.environ["ZANDAKA"] = binary
    from spanner import Emulator  # which takes the binary from the environment
    emulator = Emulator()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="zandaka-demo-"))
    shown = SpannerDemo(binary, directory, emulator)
    try:
        shown.run()
    finally:
        if shown.server and shown.server.poll() is None:
            shown.kill()
        emulator.close()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
