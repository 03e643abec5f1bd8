#!/usr/bin/env python3
"""Runs fuzz targets of a build that has them (-DZANDAKA_FUZZ=ON), on their corpora.

    scripts/fuzz.py BUILD --runs 8000              each target that many inputs, always the same
    scripts/fuzz.py BUILD --minutes 10             all targets together that long, going on from
                                                   what the last run found (BUILD/fuzz/found)
    scripts/fuzz.py BUILD --keep                   moves what was found and reaches new code to
                                                   fuzz/corpus, the smallest inputs of it
    scripts/fuzz.py BUILD --minutes 10 fuzz_json   only these targets

An input that fails is left in BUILD/fuzz/failed and named. Put it into fuzz/corpus/<target> when
the bug is mended: the corpus runs with the tests.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Bytes of an input, where libFuzzer's own choice of 4,096 is too small or too large.
INPUT_MAX_BYTES = {"fuzz_page_token": 256, "fuzz_record": 2048, "fuzz_http1": 2048}
# No input may take longer, or need more memory.
TIMEOUT_SECONDS = 20
MEMORY_MAX_MIB = 2048
KEPT_MAX_BYTES = 1024


def command(build: pathlib.Path, target: str, *flags: str) -> list[str]:
    failed = build / "fuzz" / "failed"
    failed.mkdir(parents=True, exist_ok=True)
    dictionary = ROOT / "fuzz" / f"{target.removeprefix('fuzz_')}.dict"
    return [str(build / "fuzz" / target), f"-max_len={INPUT_MAX_BYTES.get(target, 4096)}",
            f"-timeout={TIMEOUT_SECONDS}", f"-rss_limit_mb={MEMORY_MAX_MIB}",
            f"-artifact_prefix={failed}/{target}-",
            *([f"-dict={dictionary}"] if dictionary.exists() else []), *flags]


def start_corpora(build: pathlib.Path, target: str) -> list[str]:
    seeds = build / "fuzz" / "seeds"
    subprocess.run([sys.executable, ROOT / "fuzz" / "seeds.py", seeds], check=True)
    return [str(folder) for folder in (seeds / target, ROOT / "fuzz" / "corpus" / target)
            if folder.exists()]


def run(build: pathlib.Path, target: str, found: pathlib.Path, *flags: str) -> int | None:
    """How many inputs it ran, or None: one of them failed."""
    begin = time.monotonic()
    process = subprocess.run(
        command(build, target, "-print_final_stats=1", *flags, str(found),
                *start_corpora(build, target)),
        capture_output=True, text=True, errors="replace", check=False)
    counted = re.search(r"number_of_executed_units: (\d+)", process.stderr)
    covered = re.findall(r"cov: (\d+)", process.stderr)
    if process.returncode != 0 or not counted:
        print(process.stderr[-6000:])
        print(f"{target}: failed", flush=True)
        return None
    print(f"{target}: {int(counted[1]):,} inputs, {covered[-1] if covered else 0} edges, "
          f"{time.monotonic() - begin:.0f} s", flush=True)
    return int(counted[1])


def keep(build: pathlib.Path, target: str) -> None:
    """Merges: the smallest inputs that reach all that was reached beyond the seeds."""
    corpus = ROOT / "fuzz" / "corpus" / target
    corpus.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as merged:
        # The seeds go first: what they reach need not be kept.
        for seed in (build / "fuzz" / "seeds" / target).iterdir():
            shutil.copy(seed, merged)
        seeds = {path.name for path in pathlib.Path(merged).iterdir()}
        subprocess.run(command(build, target, "-set_cover_merge=1", "-use_counters=0", merged,
                               str(corpus), str(build / "fuzz" / "found" / target)),
                       check=True, stderr=subprocess.DEVNULL)
        # Those before have been merged too; an input that has a name stays for what it once found.
        for path in corpus.iterdir():
            if re.fullmatch("[0-9a-f]{40}", path.name):
                path.unlink()
        for path in pathlib.Path(merged).iterdir():
            if path.name not in seeds and path.stat().st_size <= KEPT_MAX_BYTES:
                shutil.copy(path, corpus)
    print(f"{target}: {len(list(corpus.iterdir()))} inputs kept")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("targets", nargs="*")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--runs", type=int)
    how.add_argument("--minutes", type=float)
    how.add_argument("--keep", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_intermixed_args()
    build = arguments.build.resolve()
    targets = arguments.targets or sorted(path.stem for path in (ROOT / "fuzz").glob("fuzz_*.c"))

    counts = []
    for target in targets:
        if arguments.keep:
            keep(build, target)
        elif arguments.runs:
            with tempfile.TemporaryDirectory() as found:
                counts.append(run(build, target, pathlib.Path(found), f"-seed={arguments.seed}",
                                  f"-runs={arguments.runs}"))
        else:
            found = build / "fuzz" / "found" / target
            found.mkdir(parents=True, exist_ok=True)
            seconds = int(60 * arguments.minutes / len(targets)) or 1
            counts.append(run(build, target, found, f"-seed={arguments.seed or os.getpid()}",
                              f"-max_total_time={seconds}"))
    if len(counts) > 1:
        print(f"all: {sum(count or 0 for count in counts):,} inputs")
    return 1 if None in counts else 0


if __name__ == "__main__":
    sys.exit(main())
