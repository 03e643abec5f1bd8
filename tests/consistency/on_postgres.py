#!/usr/bin/python3
"""Consistency from outside with several servers on one PostgreSQL database, which lives as long as
this program: on_postgres.py BUILD [flags of main.go ...]"""
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
os.environ["ZANDAKA"] = str(pathlib.Path(sys.argv[1]).resolve() / "zandaka")
sys.path.insert(0, str(HERE.parent / "outside"))
from postgres import Cluster  # noqa: E402  (it looks for ZANDAKA)

# A server that is killed and its successor have their connections at once for a moment.
cluster = Cluster("max_connections=200")
try:
    done = subprocess.run([HERE / "run.sh", sys.argv[1], "-store", cluster.new_store(),
                           "-servers", "2", *sys.argv[2:]])
finally:
    cluster.close()
sys.exit(done.returncode)
