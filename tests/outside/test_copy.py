#!/usr/bin/python3
"""Moving house: `zandaka copy` from the embedded store to PostgreSQL and back, interrupted and gone
on with, and everything that it must refuse.

ZANDAKA_SEED repeats a run's choices; ZANDAKA_COPY_FAULTS (6) says how often a copy is cut short.
"""
import hashlib
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

import test_crash
from postgres import Cluster
from server import BINARY, Grpc, Server

SEED = int(os.environ.get("ZANDAKA_SEED", time.time_ns() % 10**9))
FAULTS = int(os.environ.get("ZANDAKA_COPY_FAULTS", "6"))
KINDS = ["points", "money", "miles", "old"]
CONFIG = "".join(f"[kind.{kind}]\n" for kind in KINDS)
CALLS = 24
COMMANDS = 250
ACCOUNTS = 60

cluster = None
whole = None  # a store with everything in it, and what was answered


def setUpModule():
    global cluster, whole
    cluster = Cluster()
    whole = Whole()


def tearDownModule():
    whole.close()
    cluster.close()


def run(*arguments, **options):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=300,
                          **options)


def copy(source, target, **options):
    return run("copy", "--from", source, "--to", target, **options)


class Whole:
    """A RocksDB store with all that there can be: kinds, callers, labels, fences, refusals."""

    def __init__(self):
        print(f"seed {SEED}", flush=True)
        self.random = random.Random(SEED)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="zandaka-copy-"))
        self.store = f"rocksdb:{self.directory}/whole"
        self.requests = []  # (caller, message) of each Submit
        tokens = "".join(f"[caller.{name}]\ntoken_sha256 = "
                         f"{hashlib.sha256(name.encode()).hexdigest()}\n" for name in ["shop", "pos"])
        (self.directory / "callers.ini").write_text(tokens)
        self.config = f"[callers]\nfile = {self.directory}/callers.ini\n{CONFIG}"
        with Server(self.config, store=self.store) as server:
            for number in range(CALLS):
                self.requests.append((self.random.choice(["shop", "pos"]), self.submit(number)))
            self.answers = self.send_all(server)
            self.histories = self.read_histories(server)
            assert server.stop() == 0
        self.verdict = self.verify(self.store)

    def submit(self, number):
        return {"commands": [self.command(f"t{number}-{i}") for i in range(COMMANDS)]}

    def command(self, transaction_id):
        choose = self.random
        verb = choose.choice(["add", "add", "add", "consume", "consume", "cancel"])
        if verb == "cancel":
            return {"cancel": {"transactionId": transaction_id}}
        kinds = choose.sample(KINDS, choose.randint(1, len(KINDS)))
        # One account has much of everything, so that it has more entries than a batch has rows.
        account = choose.choice(["hot", f"account-{choose.randrange(ACCOUNTS)}!~"])
        message = {"transactionId": transaction_id, "accountId": account,
                   "amounts": [{"kind": kind, "amount": str(choose.choice([1, 7, 10**6, 10**15]))}
                               for kind in kinds]}
        if choose.random() < 0.3:
            message["description"] = choose.choice(["残高", "a description", "é" * 128])
            message["metadata"] = {"order": str(choose.randrange(10**9)), "b": "", "a": "é"}
        return {verb: message}

    def send_all(self, server):
        """All that succeeds, in order. A refusal leaves its id free, so it is not sent again."""
        answers = []
        for caller, message in self.requests:
            status, _, answer = server.call("Submit", message,
                                            {"authorization": f"Bearer {caller}"})
            assert status == 200, answer
            done = [i for i, result in enumerate(answer["results"]) if "transaction" in result]
            message["commands"] = [message["commands"][i] for i in done]
            answers += [answer["results"][i] for i in done]
        return answers

    def read_histories(self, server):
        histories = []
        for account in ["hot", *(f"account-{i}!~" for i in range(ACCOUNTS))]:
            token = ""
            while True:
                status, _, page = server.call(
                    "ListEntries", {"accountId": account, "pageSize": 1000, "pageToken": token},
                    {"authorization": "Bearer shop"})
                assert status == 200, page
                token = page.pop("nextPageToken", "")
                histories.append(page)
                if not token:
                    break
            histories.append(server.call("GetBalance", {"accountId": account},
                                         {"authorization": "Bearer shop"})[2])
        return histories

    def verify(self, store):
        verified = run("verify", "--store", store)
        assert verified.returncode == 0, verified.stdout + verified.stderr
        return verified.stdout

    def new_directory(self):
        return tempfile.mkdtemp(prefix="store-", dir=self.directory)

    def close(self):
        shutil.rmtree(self.directory)


def new_database():
    """(an empty store on PostgreSQL as its owner, the same as a server)"""
    name = cluster.new_database()
    return cluster.url("owner", name), cluster.url("server", name), name


class Copy(unittest.TestCase):
    def done(self, copied):
        self.assertEqual(copied.returncode, 0, copied.stdout + copied.stderr)
        return copied.stdout

    def refused(self, copied, *words, status=1):
        self.assertEqual(copied.returncode, status, copied.stdout + copied.stderr)
        for word in words:
            self.assertIn(word, copied.stderr)

    def assert_same(self, store):
        """What `whole` has, by verify, by each caller's repeats, by the reads, and by the audit."""
        self.assertEqual(whole.verify(store), whole.verdict)
        with Server(whole.config, store=store) as server:
            self.assertEqual(whole.read_histories(server), whole.histories)
            self.assertEqual(server.call("GetTransaction", {"transactionId": "t0-0"},
                                         {"authorization": "Bearer shop"})[0],
                             200 if any(each["transaction"]["transactionId"] == "t0-0"
                                        for each in whole.answers) else 404)
            self.assertEqual(server.stop(), 0)

    def audit(self, store, transaction_id):
        looked_up = run("transaction", "--store", store, "--id", transaction_id, "--json")
        self.assertEqual(looked_up.returncode, 0, looked_up.stderr)
        return looked_up.stdout

    def replays(self, store, ids):
        """The raw bytes that a server on the store gives for each id."""
        with Server(CONFIG, store=store) as server:
            client = Grpc(server.address)
            raw = [client.call("GetTransaction",
                               client.messages.GetTransactionRequest(transaction_id=each))[0]
                   for each in ids]
            client.close()
            self.assertEqual(server.stop(), 0)
        return raw

    def test_there_and_back_again(self):
        owner, server, _ = new_database()
        said = self.done(copy(whole.store, owner))
        count = whole.verdict.split("transactions: ")[1].split(" ")[0]
        self.assertIn(f"copied: {count} transactions", said)
        back = f"rocksdb:{whole.new_directory()}"
        self.done(copy(server, back))
        ids = [each["transaction"]["transactionId"]
               for each in whole.random.sample(whole.answers, 200)]
        for store in [server, back]:
            self.assert_same(store)
            self.assertEqual(self.replays(store, ids), self.replays(whole.store, ids))
            for transaction_id in ids[:5]:
                self.assertEqual(self.audit(store, transaction_id),
                                 self.audit(whole.store, transaction_id))
        # Every repeat of every request is answered as it was, and writes go on.
        replayed = [dict(each, replayed=True) for each in whole.answers]
        for store in [server, back]:
            with Server(whole.config, store=store) as moved:
                self.assertEqual(whole.send_all(moved), replayed)
                status, _, _ = moved.call("Add", {
                    "transactionId": "after-the-move", "accountId": "new",
                    "amounts": [{"kind": "points", "amount": 1}]}, {"authorization": "Bearer pos"})
                self.assertEqual((status, moved.stop()), (200, 0))
            whole.verify(store)

    def test_what_two_servers_wrote_together_moves_too(self):
        """On a shared database, positions may fall along an account's history."""
        store = cluster.new_store()
        with Server(CONFIG, store=store) as one, Server(CONFIG, store=store) as two:
            stop = threading.Event()
            callers = [test_crash.Caller(i, [one.address, two.address][i % 2], stop)
                       for i in range(8)]
            for caller in callers:
                caller.start()
            test_crash.wait_for_answers(callers, 3000)
            stop.set()
            for caller in callers:
                caller.join()
            self.assertEqual([one.stop(), two.stop()], [0, 0])
        target = f"rocksdb:{whole.new_directory()}"
        self.done(copy(store, target))
        self.assertEqual(whole.verify(target), whole.verify(store))
        ids = sorted(each for caller in callers for each in caller.answers)
        self.assertEqual(self.replays(target, ids),
                         [caller.answers[each] for each in ids for caller in callers
                          if each in caller.answers])

    # --- interrupted ---

    def assert_closed(self, store):
        """Nobody may serve or read half a store."""
        for verb in ["serve", "verify"]:
            options = ["--listen", "127.0.0.1:0"] if verb == "serve" else []
            self.refused(run(verb, "--store", store, *options), "not come to its end",
                         "zandaka copy")

    def test_killed_on_its_way_to_a_database_it_goes_on(self):
        owner, server, name = new_database()
        for table in ["transactions", "balances", "entries"]:
            with subprocess.Popen(["psql", "-X", "-q", owner], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True) as holder:
                # What it cannot write to holds it, between two tables or in the middle of one.
                holder.stdin.write(f"BEGIN; LOCK TABLE zandaka.{table} IN EXCLUSIVE MODE;\n"
                                   "\\echo held\n")
                holder.stdin.flush()
                self.assertEqual(holder.stdout.readline(), "held\n")
                process = subprocess.Popen([BINARY, "copy", "--from", whole.store, "--to", owner],
                                           stderr=subprocess.DEVNULL)
                self.wait_until_held(name, table)
                process.send_signal(signal.SIGKILL)
                process.wait()
            self.assert_closed(server)
            applied = run("schema", "--store", owner, "--apply")
            self.refused(applied, "not come to its end", "nothing was changed")
        self.done(copy(whole.store, owner))
        self.assert_same(server)

    def wait_until_held(self, database, table):
        deadline = time.monotonic() + 120
        while cluster.run("SELECT count(*) FROM pg_locks JOIN pg_class ON relation = pg_class.oid "
                          f"WHERE relname = '{table}' AND NOT granted", database) == "0":
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def cut_short(self, source, target, within_s):
        """Begins the copy, and at a random moment ends it, or the database, without a warning. What
        became of it: `done`, or by what it was ended."""
        fault = whole.random.choice(["copy", "stop immediate", "kill"])
        process = subprocess.Popen([BINARY, "copy", "--from", source, "--to", target],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(whole.random.uniform(0, within_s))
        if fault == "copy":
            process.send_signal(signal.SIGKILL)
        else:
            cluster.command(fault)
            cluster.command("start")
        _, said = process.communicate(timeout=300)
        self.assertIn(process.returncode, [0, -signal.SIGKILL if fault == "copy" else 1], said)
        return "done" if process.returncode == 0 else fault

    def assert_whole_or_closed(self, store, empty):
        """Whether the copy has come to its end. Before its beginning there is an empty store, or none."""
        verified = run("verify", "--store", store)
        if verified.returncode == 0:
            self.assertIn(verified.stdout, (whole.verdict, empty))
            return verified.stdout == whole.verdict
        if "no store there" not in verified.stderr:
            self.assert_closed(store)
        return False

    def finish(self, source, target):
        """Goes on to the end, unless that was reached before anybody was told."""
        copied = copy(source, target)
        if copied.returncode != 0:
            self.refused(copied, "holds a store already")

    def go_on_after_faults(self, new_target):
        """Copies that are cut short until they are whole, until there were FAULTS."""
        faults = []
        within_s = self.time_of_a_copy
        while len(faults) < FAULTS:
            source, target, server, empty = new_target()
            ended = False
            while not ended and len(faults) < FAULTS:
                fault = self.cut_short(source, target, within_s)
                if fault != "done":
                    faults.append(fault)
                ended = self.assert_whole_or_closed(server, empty)
                self.assertTrue(ended or fault != "done")
            self.finish(source, target)
            self.assert_same(server)
        print(f"cut short by: {', '.join(faults)}", flush=True)

    def test_wherever_it_or_the_database_is_ended_it_goes_on(self):
        owner, server, _ = new_database()
        empty = whole.verify(server)
        before = time.monotonic()
        self.done(copy(whole.store, owner))
        self.time_of_a_copy = time.monotonic() - before

        def database():
            target_owner, target_server, _ = new_database()
            return whole.store, target_owner, target_server, empty

        def directory():
            target = f"rocksdb:{whole.new_directory()}/store"
            return server, target, target, None

        for new_target in database, directory:
            with self.subTest(new_target.__name__):
                self.go_on_after_faults(new_target)

    def test_ended_on_its_way_to_a_directory_it_goes_on(self):
        """Each time it may write a little more, and is ended by the system when that is spent."""
        target = f"rocksdb:{whole.new_directory()}/store"
        for kilobytes in [50, 100, 200, 300, 400]:
            def limit():
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes << 10, kilobytes << 10))
            copied = copy(whole.store, target, preexec_fn=limit)
            self.assertNotEqual(copied.returncode, 0, kilobytes)
            self.assert_closed(target)
        self.done(copy(whole.store, target))
        self.assert_same(target)

    def test_an_interrupted_copy_goes_on_with_its_own_source_only(self):
        owner, _, name = new_database()
        self.done(copy(whole.store, owner))
        cluster.run("UPDATE zandaka.store SET schema_version = -schema_version; "
                    "UPDATE zandaka.transactions SET caller = 'other' "
                    "WHERE position = (SELECT max(position) FROM zandaka.transactions)", name)
        self.refused(copy(whole.store, owner), "is another than the source's", "copy anew")
        cluster.run("DELETE FROM zandaka.transactions "
                    "WHERE position = (SELECT max(position) FROM zandaka.transactions)", name)
        self.done(copy(whole.store, owner))
        other = f"rocksdb:{whole.new_directory()}"
        with Server("[kind.points]\n", store=other) as server:
            server.stop()
        owner, _, name = new_database()
        cluster.run("UPDATE zandaka.store SET schema_version = -schema_version; "
                    "INSERT INTO zandaka.accounts VALUES ('a', 1, now())", name)
        self.refused(copy(other, owner), "is not in the source")

    # --- refused ---

    def test_a_store_that_holds_something_is_no_target(self):
        owner, server, _ = new_database()
        self.done(copy(whole.store, owner))
        self.refused(copy(whole.store, owner), "holds a store already", "make an empty database")
        self.refused(copy(server, whole.store), "holds a store already", "empty")
        self.refused(copy(owner, owner), "holds a store already")
        self.refused(copy(whole.store, whole.store), "is in use")
        # Nothing of it was changed.
        self.assert_same(server)
        self.assertEqual(whole.verify(whole.store), whole.verdict)

    def test_a_store_in_use_is_no_source_and_no_target(self):
        with Server(CONFIG) as server:
            target = f"rocksdb:{whole.new_directory()}/store"
            self.refused(copy(server.store, target), "the source", "in use")
            self.assertFalse(os.path.exists(target.removeprefix("rocksdb:")))
            self.refused(copy(whole.store, server.store), "the target", "in use")

    def test_a_source_that_is_written_to_meanwhile_is_found_out(self):
        owner, server, name = new_database()
        self.done(copy(whole.store, owner))
        target, _, target_name = new_database()
        with subprocess.Popen(["psql", "-X", "-q", target], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as holder:
            holder.stdin.write("BEGIN; LOCK TABLE zandaka.entries IN EXCLUSIVE MODE;\n"
                               "\\echo held\n")
            holder.stdin.flush()
            holder.stdout.readline()
            process = subprocess.Popen([BINARY, "copy", "--from", server, "--to", target],
                                       stderr=subprocess.PIPE, text=True)
            self.wait_until_held(target_name, "entries")
            with Server(CONFIG, store=server) as writer:
                self.assertEqual(writer.call("Add", {
                    "transactionId": "late", "accountId": "late",
                    "amounts": [{"kind": "points", "amount": 1}]})[0], 200)
                writer.stop()
            holder.stdin.write("ROLLBACK;\n")
            holder.stdin.flush()
            _, said = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 1)
        self.assertIn("written to since", said)
        self.assert_closed(cluster.url("server", target_name))

    def test_usage(self):
        owner, server, name = new_database()
        self.refused(run("copy", "--from", whole.store), "--to is missing", status=2)
        self.refused(run("copy", "--to", whole.store), "--from is missing", status=2)
        self.refused(copy("memory:", owner), "nothing to read", status=2)
        self.refused(copy(whole.store, "memory:"), "nothing can be copied", status=2)
        self.refused(copy("nowhere", owner), "names no store", status=2)
        self.refused(copy(f"rocksdb:{whole.new_directory()}", owner), "no store there")
        self.refused(copy(whole.store, server), "permission denied", "the role that owns it")
        cluster.run("CREATE DATABASE bare")
        self.refused(copy(whole.store, cluster.url("owner", "bare")), "zandaka schema")


if __name__ == "__main__":
    unittest.main()
