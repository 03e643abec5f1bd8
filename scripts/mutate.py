#!/usr/bin/env python3
"""Breaks the code on purpose, one small mistake at a time, and sees whether the tests notice.

    scripts/mutate.py ledger                 all mutants of src/ledger, and the score
    scripts/mutate.py store/rocksdb --sample 200 --seed 1
    scripts/mutate.py service --only src/service/batch.c:70
    scripts/mutate.py ledger --list          the mutants, without running anything

Each mutant is compiled alone and linked in place of the original, and runs against the tests of its
folder until one fails. What the plain build does not notice is tried again with AddressSanitizer and
UndefinedBehaviorSanitizer and, where there are threads, with ThreadSanitizer: a mutant is killed by
a test that fails, a sanitizer that reports, or a test that hangs: beyond ten seconds and ten times
its own time it has used that much of the processor, or all of it has been asleep for ten seconds. So
a busy machine kills no mutant. A mutant whose object code is the original's is the same program and
does not count. Survivors that cannot be noticed are explained in docs/mutants.md, which is read here:
they are not judged again, unless with --explained.

The source is copied first, so that it may be edited meanwhile. Exits with 1 when less than 95 % of
the mutants that count were killed.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import random
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

import hanging
import mutants

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Each folder has a copy and builds of its own, so that campaigns may run beside each other.
WORK = ROOT / "build" / "mutants" / (sys.argv[1] if len(sys.argv) > 1 else "").replace("/", "-")
TREE = WORK / "tree"
NOT_BUILT = {"build", "docs", "examples", "zandaka-data"}
AIM_PERCENT = 95
ADDRESS_SPACE_MAX_BYTES = 8 << 30
FILE_MAX_BYTES = 4 << 30  # store_rocksdb_space fills 2 GiB

# Folder: its tests by their names, and the builds after the plain one.
FOLDERS = {
    "ledger": (r"ledger_", ["address"]),
    "service": (r"service_", ["address", "thread"]),
    "store": (r"store_(contract$|faulty)", ["address"]),
    "store/memory": (r"store_contract$", ["address", "thread"]),
    "store/postgres": (r"store_(contract$|postgres)", ["address"]),
    "store/rocksdb": (r"store_(contract$|rocksdb_)", ["address"]),
}
# What a folder's test is told: a backend is held to the contract alone.
ARGUMENTS = {("store/memory", "store_contract"): ["memory"],
             ("store/postgres", "store_contract"): ["postgres"],
             ("store/rocksdb", "store_contract"): ["rocksdb"]}


class Build:
    """A build of the copied tree, with what is needed to exchange one object in it."""

    def __init__(self, name: str, tested: str):
        self.name = name
        self.tested = tested
        self.folder = WORK / (name or "plain")
        self.compile: dict[str, list[str]] = {}
        self.links: dict[str, list[str]] = {}
        self.seconds: dict[str, float] = {}
        self.environment = dict(os.environ)
        self.environment["TSAN_OPTIONS"] = \
            f"suppressions={TREE}/tests/tsan.supp halt_on_error=1 second_deadlock_stack=1"
        self.environment["CMOCKA_TEST_ABORT"] = "1"  # the first failure is enough
        self.runner = []
        if name == "thread" and subprocess.run(["setarch", "-R", "true"], check=False).returncode == 0:
            self.runner = ["setarch", "-R"]

    def make(self, pattern: str) -> None:
        subprocess.run(["cmake", "-S", TREE, "-B", self.folder, "-G", "Ninja", "-Wno-dev",
                        "-DZANDAKA_TESTS=ON", "-DCMAKE_BUILD_TYPE=None", "-DCMAKE_C_FLAGS=-O1 -w",
                        f"-DZANDAKA_SANITIZE={self.name}"], check=True, stdout=subprocess.DEVNULL)
        names = sorted(f"{path.parent.name}_{path.stem.removeprefix('test_')}"
                       for path in TREE.glob("tests/*/test_*.c"))
        names = [name for name in names if re.match(pattern, name)]
        subprocess.run(["ninja", "-C", self.folder] + [f"tests/{name}" for name in names],
                       check=True, stdout=subprocess.DEVNULL)
        for entry in json.loads((self.folder / "compile_commands.json").read_text()):
            path = pathlib.Path(entry["file"])
            if path.is_relative_to(TREE / "src"):
                command = shlex.split(entry["command"])
                self.compile[str(path.relative_to(TREE))] = command[:command.index("-o")]
        for name in names:
            lines = subprocess.run(["ninja", "-C", self.folder, "-t", "commands", f"tests/{name}"],
                                   check=True, capture_output=True, text=True).stdout
            last = lines.strip().splitlines()[-1]
            self.links[name] = shlex.split(last.removeprefix(": && ").removesuffix(" && :"))
            begin = time.monotonic()
            if not self.run(name, self.folder / "tests" / name, 600):
                sys.exit(f"{name} fails or is skipped without any mutation, in the build {self.folder}")
            self.seconds[name] = time.monotonic() - begin
        self.links = {name: self.links[name] for name in sorted(names, key=self.seconds.get)}

    def run(self, name: str, binary: pathlib.Path, limit_s: float) -> bool:
        """Whether the test passes. Its files and its processes are gone afterwards."""
        # A short path: a database's socket is below it.
        scratch = pathlib.Path(tempfile.mkdtemp(prefix="zandaka-mutant-"))
        scratch.chmod(0o755)
        process = subprocess.Popen(
            self.runner + [str(binary), *ARGUMENTS.get((self.tested, name), [])], cwd=self.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env=self.environment | {"TMPDIR": str(scratch)}, preexec_fn=self.limit)
        try:
            return hanging.wait(process, limit_s) == 0
        finally:
            process.kill()
            process.wait()
            hanging.end_group(process.pid)
            shutil.rmtree(scratch, ignore_errors=True)

    def limit(self) -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_MAX_BYTES, FILE_MAX_BYTES))
        if not self.name:  # the sanitizers' shadows take the whole address space
            resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_MAX_BYTES,) * 2)

    def objects(self, path: str, place: pathlib.Path) -> list[pathlib.Path] | None:
        """Compiles `place`/`path`, or for a header all of its folder with it. None: impossible."""
        made = []
        folder = os.path.dirname(path)
        sources = [path] if path.endswith(".c") else sorted(
            source for source in self.compile if os.path.dirname(source) == folder)
        for source in sources:
            target = place / (source.replace("/", "_") + (self.name or "plain") + ".o")
            here = place / source
            if not here.exists():
                here.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(TREE / source, here)
            command = self.compile[source] + [f"-I{TREE / 'src'}", "-w", "-g0", "-o", str(target),
                                              "-c", str(here)]
            command.insert(1, f"-I{place / 'src'}")
            if subprocess.run(command, cwd=self.folder, capture_output=True,
                              check=False).returncode != 0:
                return None
            made.append(target)
        return made

    def killed_by(self, objects: list[pathlib.Path], place: pathlib.Path) -> str | None:
        for name, link in self.links.items():
            binary = place / name
            command = list(link)
            at = command.index("-o")
            command[at + 1] = str(binary)
            command[at + 2:at + 2] = [str(path) for path in objects]
            subprocess.run(command, cwd=self.folder, check=True, capture_output=True)
            passes = self.run(name, binary, 10 + 10 * self.seconds[name])
            binary.unlink()
            if not passes:
                return f"{name} ({self.name or 'plain'})"
        return None


def digest(paths: list[pathlib.Path]) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def judge(mutant: mutants.Mutant, builds: list[Build]) -> tuple[str, str]:
    """killed, survived, same or uncompilable; and by what."""
    place = WORK / "place" / mutant.identity.replace("/", "_")
    shutil.rmtree(place, ignore_errors=True)
    text = (TREE / mutant.path).read_text()
    here = place / mutant.path
    here.parent.mkdir(parents=True)
    try:
        here.write_text(text)
        before = digest(builds[0].objects(mutant.path, place))
        here.write_text(mutant.apply(text))
        for build in builds:
            objects = build.objects(mutant.path, place)
            if objects is None:
                return "uncompilable", ""
            if build is builds[0] and digest(objects) == before:
                return "same", ""
            by = build.killed_by(objects, place)
            if by:
                return "killed", by
        return "survived", ""
    finally:
        shutil.rmtree(place, ignore_errors=True)


def copy_tree() -> None:
    """The source as it is now; what has not changed keeps its time, so that little is built."""
    wanted = set()
    for top in ROOT.iterdir():
        if top.name.startswith(".") or top.name in NOT_BUILT:
            continue
        found = [top] if top.is_file() else [path for path in top.rglob("*") if path.is_file()]
        for path in found:
            copy = TREE / path.relative_to(ROOT)
            wanted.add(copy)
            if not copy.exists() or copy.read_bytes() != path.read_bytes():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)  # with its mode: some are run
    for copy in list(TREE.rglob("*")):
        if copy.is_file() and copy not in wanted:
            copy.unlink()


def explained() -> dict[tuple[str, str, str], bool]:
    """(file, line, mutated line) of the mutants that docs/mutants.md explains."""
    found, path, before = {}, "", ""
    document = ROOT / "docs" / "mutants.md"
    for line in document.read_text().splitlines() if document.exists() else []:
        if line.startswith("## src/"):
            path = line[3:].strip()
        elif line.startswith("- ") and path:
            before = " ".join(line[2:].split())
        elif line.startswith("+ ") and path:
            found[path, before, " ".join(line[2:].split())] = True
    return found


def read_results(path: pathlib.Path | None) -> dict[str, tuple[str, str]]:
    """What an earlier run over the same source has found."""
    if path is None or not path.exists():
        return {}
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    return {identity: (verdict, by) for identity, verdict, by in rows}


def selected(arguments) -> list[mutants.Mutant]:
    neighbours = mutants.enum_neighbours(TREE / "src")
    listed = []
    for path in sorted((TREE / "src" / arguments.folder).glob("*.[ch]")):
        listed += mutants.mutants_of(TREE, str(path.relative_to(TREE)), neighbours)
    if arguments.only:
        listed = [mutant for mutant in listed
                  if any(re.match(re.escape(only) + r"(?!\d)", mutant.identity)
                         for only in arguments.only)]
    if arguments.sample and arguments.sample < len(listed):
        chosen = set(random.Random(arguments.seed).sample(range(len(listed)), arguments.sample))
        listed = [mutant for i, mutant in enumerate(listed) if i in chosen]
    return listed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", choices=sorted(FOLDERS))
    parser.add_argument("--list", action="store_true", help="only list the mutants")
    parser.add_argument("--only", action="append", help="mutants whose id begins so")
    parser.add_argument("--sample", type=int, help="this many, chosen by the seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--results", type=pathlib.Path,
                        help="also written here, one mutant a line; what is there is not judged again")
    parser.add_argument("--explained", action="store_true", help="those of docs/mutants.md too")
    arguments = parser.parse_args()

    copy_tree()
    listed = selected(arguments)
    texts = {path: (TREE / path).read_text() for path in {mutant.path for mutant in listed}}
    if arguments.list:
        for mutant in listed:
            print(mutant.identity, *mutant.lines(texts[mutant.path]), sep="\n    ")
        print(f"{len(listed)} mutants")
        return 0

    os.nice(10)
    shutil.rmtree(WORK / "place", ignore_errors=True)
    pattern, more = FOLDERS[arguments.folder]
    builds = [Build(name, arguments.folder) for name in ("", *more)]
    for build in builds:
        build.make(pattern)

    known = {} if arguments.explained else explained()
    before = read_results(arguments.results)
    counts = dict.fromkeys(("killed", "survived", "explained", "same", "uncompilable"), 0)
    begin = time.monotonic()

    def verdict_on(mutant: mutants.Mutant) -> tuple[str, str]:
        if mutant.identity in before:
            return before[mutant.identity]
        if (mutant.path, *mutant.lines(texts[mutant.path])) in known:
            return "explained", ""
        return judge(mutant, builds)

    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for mutant, (verdict, by) in zip(listed, pool.map(verdict_on, listed)):
            counts[verdict] += 1
            if arguments.results and mutant.identity not in before:
                with arguments.results.open("a") as results:
                    results.write(f"{mutant.identity}\t{verdict}\t{by}\n")
            if verdict == "survived":
                was, is_now = mutant.lines(texts[mutant.path])
                print(f"survived: {mutant.identity}\n    - {was}\n    + {is_now}", flush=True)

    sample = f", sample of {arguments.sample} with seed {arguments.seed}" if arguments.sample else ""
    counting = counts["killed"] + counts["survived"]
    percent = 100 * counts["killed"] / counting if counting else 100.0
    print(f"src/{arguments.folder}: {len(listed)} mutants{sample}; {counts['same']} the same program, "
          f"{counts['uncompilable']} do not compile, {counts['explained']} explained as equivalent; "
          f"of the other {counting}, {counts['killed']} killed: {percent:.1f} % "
          f"({time.monotonic() - begin:.0f} s)")
    return 0 if percent >= AIM_PERCENT else 1


if __name__ == "__main__":
    sys.exit(main())
