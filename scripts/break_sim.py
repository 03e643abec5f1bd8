#!/usr/bin/env python3
"""Whether the simulator can fail: the code is broken in one way after the other, in a copy of the
tree, and each time the simulator must find a world that breaks the contract.

    scripts/break_sim.py [WORLDS]     at most so many worlds for each (default 2000)
    scripts/break_sim.py WORLDS WORD  only those whose name has the word

Exit status 1: some break was not found, or no longer fits the code.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import hanging

ROOT = pathlib.Path(__file__).resolve().parent.parent

# What is broken, where, and how: a piece of the code, once in its file, and what stands there then.
BREAKS = [
    ("the content is not compared", "src/record/compare.c",
     "    return fields;\n}\n\nuint32_t record_compare",
     "    return 0;\n}\n\nuint32_t record_compare"),
    ("the account is not content", "src/record/compare.c",
     "!base_text_equal(recorded->account_id, requested->account_id)) {\n        fields |= BASE_CONTENT_ACCOUNT_ID;\n    }\n    if (!base_text_equal(recorded->original",
     "false) {\n        fields |= BASE_CONTENT_ACCOUNT_ID;\n    }\n    if (!base_text_equal(recorded->original"),
    ("a repeat within a batch is not found", "src/ledger/decide.c",
     "if (fact->presence != LEDGER_ABSENT) {", "if (fact->presence == LEDGER_RECORDED) {"),
    ("a repeat is answered with its own labels", "src/ledger/decide.c",
     ".result = LEDGER_REPLAYED, .record = fact->record}",
     ".result = LEDGER_REPLAYED, .record = record_encode(arena, requested)}"),
    ("a repeat is checked again", "src/ledger/decide.c",
     "    if (fact->presence != LEDGER_ABSENT) {\n        return decide_recorded",
     "    struct base_refusal early = check(operation, &attempt);\n"
     "    if (fact->presence != LEDGER_ABSENT && early.reason == BASE_REASON_NONE) {\n"
     "        return decide_recorded"),
    ("a fence is not recorded", "src/ledger/decide.c",
     "    append_new(facts, fact);\n}",
     "    if (transaction->n_legs > 0) {\n        append_new(facts, fact);\n    }\n}"),
    ("a fence lets its own id pass", "src/ledger/decide.c",
     "} else if (!requested_cancel && recorded_cancelled) {", "} else if (false) {"),
    ("a fence undoes a success in its answer", "src/ledger/decide.c",
     "if (requested_cancel && !recorded_cancelled) {", "if (false) {"),
    ("time goes back in an account", "src/ledger/decide.c",
     "time_us = later(time_us, attempt->movements[leg].account->last_time_us);",
     "time_us = later(time_us, time_us);"),
    ("a withdrawn kind is still used", "src/ledger/operations.c",
     "&& !kind_of(attempt, leg)->withdrawn;", "&& true;"),
    ("the amount limit is one too high", "src/ledger/operations.c",
     "return size_minor <= kind_of(attempt, leg)->max_amount_minor",
     "return size_minor - 1 <= kind_of(attempt, leg)->max_amount_minor"),
    ("a balance is refused when it is just enough", "src/ledger/operations.c",
     "return after_minor >= 0 ?", "return after_minor > 0 ?"),
    ("everything is answered before the commit", "src/service/batch.c",
     "    fault = store_commit(batch->store, batch->session, &batch->facts);\n"
     "    end_phase(batch, SERVICE_COMMITTING);\n"
     "    for (size_t i = 0; i < part->n_calls; i++) {\n"
     "        if (fault == STORE_OK) {\n",
     "    for (size_t i = 0; i < part->n_calls; i++) {\n"
     "        call_answer(batch, part->calls[i].call);\n    }\n"
     "    part->n_calls = 0;\n"
     "    fault = store_commit(batch->store, batch->session, &batch->facts);\n"
     "    end_phase(batch, SERVICE_COMMITTING);\n"
     "    for (size_t i = 0; i < part->n_calls; i++) {\n"
     "        if (fault == STORE_OK) {\n"),
    ("after a conflict the old decision is answered", "src/service/batch.c",
     "    fault = store_commit(batch->store, batch->session, &batch->facts);\n",
     "    fault = store_commit(batch->store, batch->session, &batch->facts);\n"
     "    fault = fault == STORE_CONFLICT ? STORE_OK : fault;\n"),
    ("an unknown outcome counts as written", "src/service/batch.c",
     "    fault = store_commit(batch->store, batch->session, &batch->facts);\n",
     "    fault = store_commit(batch->store, batch->session, &batch->facts);\n"
     "    fault = fault == STORE_UNKNOWN ? STORE_OK : fault;\n"),
    ("an unknown outcome counts as not written", "src/service/batch.c",
     "} else if (fault == STORE_UNKNOWN && !part->calls[i].settled) {", "} else if (false) {"),
    ("a call that is given up in doubt is told that nothing was written", "src/service/doubt.c",
     "        if (entry->doubt_end > 0) {\n            tell_unsettled", 
     "        if (false) {\n            tell_unsettled"),
    ("a refusal is told while its id is in doubt", "src/service/doubt.c",
     "if (entry->doubts[i].in_doubt && reason != BASE_REASON_NONE && !rests_on_record(reason)) {",
     "if (false && reason != BASE_REASON_NONE && !rests_on_record(reason)) {"),
    ("another's record settles a doubt", "src/service/doubt.c",
     "fact->commit_mark == doubt->commit_mark",
     "fact->commit_mark != 0"),
    ("a Submit goes on behind an unknown outcome", "src/service/doubt.c",
     "if (would_take_effect && (i < found_end || unknown_before)) {",
     "if (would_take_effect && (i < found_end || (unknown_before && i > BASE_SUBMIT_MAX))) {"),
    ("a Submit takes effect before what is found of it", "src/service/doubt.c",
     "if (would_take_effect && (i < found_end || unknown_before)) {",
     "if (would_take_effect && ((i < found_end && i > BASE_SUBMIT_MAX) || unknown_before)) {"),
    ("a call leaves at its deadline without an answer", "src/service/batch.c",
     "call_give_up(batch, entry, BASE_REASON_DEADLINE_EXCEEDED);", ";"),
    ("a deadline is taken for passed too early", "src/service/batch.c",
     "if (entry->call->deadline_mono_ns <= now_ns) {",
     "if (entry->call->deadline_mono_ns <= now_ns + 1000000) {"),
    ("the store does not see that an account has changed", "src/store/memory/memory.c",
     "if (fact->loaded_version != version) {",
     "if (fact->loaded_version != version && version < 0) {"),
    ("the store does not see that an id was recorded", "src/store/memory/memory.c",
     "if (fact->presence != LEDGER_RECORDED &&", "if (false &&"),
    ("damage fails a whole batch", "src/service/batch.c",
     "    if (part->n_calls > 1) {\n        size_t half", "    if (false) {\n        size_t half"),
    ("damage is taken for a fault that passes", "src/service/batch.c",
     "    part_give_up(batch, part, BASE_REASON_INTERNAL);",
     "    part_give_up(batch, part, BASE_REASON_STORE_UNAVAILABLE);"),
    ("the line is full a batch too early", "src/service/service.c",
     "return held + call->n_commands <=",
     "return held + call->n_commands + BASE_BATCH_MAX <="),
    ("a balance overflows", "src/ledger/operations.c",
     "return !overflow && after_minor <= kind_of",
     "(void)overflow;\n    return after_minor <= kind_of"),
]


def run(worlds: int, name: str, copy: pathlib.Path, binary: pathlib.Path) -> bool:
    build = subprocess.run(["cmake", "--build", copy / "build", "--target", "zandaka_sim"],
                           capture_output=True, text=True)
    if build.returncode != 0:
        print(f"{name}: DOES NOT COMPILE: {re.findall('error: .*', build.stdout)}", flush=True)
        return False
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen([binary, "--seed", "1", "--worlds", str(worlds)], stdout=output,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
        status = hanging.wait(process, 600)
        process.kill()
        process.wait()
        hanging.end_group(process.pid)
        output.seek(0)
        said = output.read()
    if status is None:
        print(f"{name}: DOES NOT END", flush=True)
        return False
    told = re.search(r"seed (\d+) (breaks .*?|has ended the process.*?)\. Again", said)
    if status != 1 or told is None:
        print(f"{name}: NOT FOUND in {worlds} worlds", flush=True)
        return False
    assertion = re.findall(r"assert\w* .*|error: .*", said) if "ended" in told[2] else []
    print(f"{name}: seed {told[1]} {told[2]} {assertion[-1] if assertion else ''}", flush=True)
    return True


def main() -> int:
    worlds = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    word = sys.argv[2] if len(sys.argv) > 2 else ""
    found = tried = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "zandaka"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns("build", ".git"))
        subprocess.run(["cmake", "-S", copy, "-B", copy / "build", "-G", "Ninja", "-Wno-dev",
                        "-DZANDAKA_TESTS=ON", "-DCMAKE_C_FLAGS=-Wno-error"],
                       check=True, capture_output=True)
        if run(worlds, "nothing is broken", copy, copy / "build" / "zandaka_sim"):
            print("the simulator finds fault with the code as it is")
            return 1
        for name, path, before, after in BREAKS:
            if word not in name:
                continue
            tried += 1
            text = (copy / path).read_text()
            if text.count(before) != 1:
                print(f"{name}: DOES NOT FIT {path} ({text.count(before)} places)", flush=True)
                continue
            (copy / path).write_text(text.replace(before, after))
            found += run(worlds, name, copy, copy / "build" / "zandaka_sim")
            (copy / path).write_text(text)
    print(f"{found} of {tried} breaks found")
    return 0 if found == tried else 1


if __name__ == "__main__":
    sys.exit(main())
