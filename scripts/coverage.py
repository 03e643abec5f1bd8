#!/usr/bin/env python3
"""Which lines and branches of src/ the tests reach.

    scripts/coverage.py              the suite (but for LEFT_OUT), then the figures of each folder
    scripts/coverage.py --no-run     the figures of the last run
    scripts/coverage.py --list api   also every line and branch of src/api that was not reached

A branch is one way out of a condition. Those of assertions do not count: their other way is a bug.
Exits with 1 when a test fails, or when src/ledger has a line or a branch that was not reached.
"""
import argparse
import collections
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "coverage"
COMPLETE = "ledger"
# The checks of the source and the package execute nothing of this build. The example clients judge
# themselves: they give up on a server as slow as this one, and ask nothing of it that others do not.
LEFT_OUT = "^(check_|clients_|interface_buf|interface_install|outside_package)"
# The conditions of assertions, also over several lines, and of what is not ours.
ASSERTIONS = re.compile(r"\b(?:base_assert|static_assert)\(")


def run_suite(tests: str) -> bool:
    subprocess.run(["cmake", "-S", ROOT, "-B", BUILD, "-G", "Ninja", "-Wno-dev",
                    "-DCMAKE_BUILD_TYPE=None", "-DCMAKE_C_FLAGS=-O0 -g", "-DZANDAKA_TESTS=ON",
                    "-DZANDAKA_TEST_SOURCE=ON", "-DZANDAKA_COVERAGE=ON"],
                   check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", BUILD], check=True, stdout=subprocess.DEVNULL)
    for counts in BUILD.rglob("*.gcda"):
        counts.unlink()
    command = ["ctest", "--test-dir", BUILD, "-j", str(os.cpu_count()), "--output-on-failure",
               "-E", LEFT_OUT] + (["-R", tests] if tests else [])
    # The servers write their counts before they are gone: tests/coverage/kept_counts.c.
    environment = os.environ | {"ZANDAKA_KILL": "SIGUSR2"}
    return subprocess.run(command, check=False, env=environment).returncode == 0


def measured() -> list[dict]:
    report = BUILD / "coverage.json"
    subprocess.run(["gcovr", "--root", ROOT, "--filter", f"{ROOT}/src/", "--json", report,
                    "--exclude-unreachable-branches", "--gcov-ignore-parse-errors",
                    "-j", str(os.cpu_count()), BUILD], check=True, stderr=subprocess.DEVNULL)
    return json.loads(report.read_text())["files"]


def assertion_lines(text: str) -> set[int]:
    lines = set()
    for match in ASSERTIONS.finditer(text):
        depth, at = 0, match.end() - 1
        while True:
            depth += {"(": 1, ")": -1}.get(text[at], 0)
            if depth == 0:
                break
            at += 1
        lines.update(range(text.count("\n", 0, match.start()) + 1, text.count("\n", 0, at) + 2))
    return lines


class Folder:
    def __init__(self):
        self.lines = self.lines_reached = self.branches = self.branches_reached = 0
        self.missing: list[str] = []

    def add(self, path: str, lines: list[dict]) -> None:
        text = (ROOT / path).read_text()
        source = text.splitlines()
        assertions = assertion_lines(text)
        for line in lines:
            number = line["line_number"]
            if line.get("gcovr/noncode"):
                continue
            self.lines += 1
            self.lines_reached += line["count"] > 0
            branches = [] if number in assertions else line["branches"]
            reached = sum(branch["count"] > 0 for branch in branches)
            self.branches += len(branches)
            self.branches_reached += reached
            if line["count"] == 0 or reached < len(branches):
                what = "line" if line["count"] == 0 else f"{reached} of {len(branches)} branches"
                self.missing.append(f"{path}:{number}: {what}: {source[number - 1].strip()}")


def percent(reached: int, of: int) -> str:
    return f"{100 * reached / of:5.1f} %" if of else "      -"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-run", action="store_true", help="the figures of the last run")
    parser.add_argument("--tests", default="", help="only the tests whose name matches")
    parser.add_argument("--list", action="append", default=[COMPLETE], metavar="FOLDER")
    arguments = parser.parse_args()
    passed = arguments.no_run or run_suite(arguments.tests)

    folders = collections.defaultdict(Folder)
    for entry in measured():
        folder = os.path.dirname(entry["file"]).removeprefix("src/")
        folders[folder].add(entry["file"], entry["lines"])
    for name in arguments.list:
        for missing in folders[name].missing:
            print(missing)
    print(f"{'':15}{'lines':>8}{'reached':>16}{'branches':>10}{'reached':>16}")
    total = Folder()
    for name, folder in sorted(folders.items()):
        for figure in ("lines", "lines_reached", "branches", "branches_reached"):
            setattr(total, figure, getattr(total, figure) + getattr(folder, figure))
    for name, folder in [*sorted(folders.items()), ("all", total)]:
        print(f"{name:15}{folder.lines:8}{folder.lines_reached:8}"
              f" {percent(folder.lines_reached, folder.lines)}{folder.branches:10}"
              f"{folder.branches_reached:9} {percent(folder.branches_reached, folder.branches)}")
    if not passed:
        print("a test failed")
    return 0 if passed and not folders[COMPLETE].missing else 1


if __name__ == "__main__":
    sys.exit(main())
