#!/usr/bin/python3
"""A disk that fails while the server runs, and one that is full: the process stops with a message, or
goes on rightly; what was acknowledged is there afterwards, once, and the store is sound.

ZANDAKA_FAULTS (6) says how many calls of each sort are made to fail; ZANDAKA_SEED repeats a run's
choices.
"""
import os
import random
import threading
import time
import unittest

from callers import Client, Known, judge, load
from server import add, reason
from shim import Grpc, ShimmedServer

FAULTS = int(os.environ.get("ZANDAKA_FAULTS", "6"))
SEED = int(os.environ.get("ZANDAKA_SEED", time.time_ns() % 10**9))
STOPPED = "error: the store in "
# Enough for opening; less than the reserve of 1 GiB.
LITTLE_SPACE_BYTES = 400 << 20
# A HealthCheckResponse.
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}, {FAULTS} faults of each sort", flush=True)

    def setUp(self):
        self.random = random.Random(SEED)
        self.known = Known(SEED)

    def server(self):
        """A server with some transactions, stopped; without a fault yet."""
        server = ShimmedServer()
        self.addCleanup(server.__exit__, None)
        self.assertTrue(server.begin(), server.log_text())
        load(server, self.known)
        self.assertEqual(server.stop(), 0)
        return server

    def check_sound(self, server, what):
        shim, server.shim = server.shim, None
        self.assertEqual(judge(server, self.known, list(self.known.answers)), [], what)
        self.assertEqual(self.known.complaints, [], what)
        server.shim = shim

    def fail_under_load(self, server, **asked):
        """Serves, and then meets what is asked for, counted from when it serves."""
        what = f"{asked}, seed {SEED}"
        self.assertTrue(server.begin(), server.log_text())
        for word, (count, distance) in asked.items():
            setattr(server.control, word, getattr(server.control, count) + distance)
        n_log = len(server.log_text())
        load(server, self.known, n=60)
        self.assertGreater(server.control.n_faults, 0, what)
        self.assertEqual(server.process.wait(timeout=60), 1, what + server.last_words(n_log))
        self.assertIn(STOPPED, server.last_words(n_log), what)
        self.assertIn("start again", server.last_words(n_log), what)
        self.check_sound(server, what)

    def test_a_write_that_fails_stops_the_process(self):
        server = self.server()
        for number in range(FAULTS):
            distance = self.random.randint(1, 40)
            with self.subTest(number=number, distance=distance):
                self.fail_under_load(server, fail_write=("n_writes", distance))

    def test_a_sync_that_fails_stops_the_process_though_the_next_would_succeed(self):
        server = self.server()
        for number in range(FAULTS):
            distance = self.random.randint(1, 20)
            with self.subTest(number=number, distance=distance):
                self.fail_under_load(server, fail_sync=("n_syncs", distance))

    def test_a_disk_that_is_full_all_the_same_stops_the_process(self):
        server = self.server()
        for number in range(FAULTS):
            n_bytes = self.random.randint(1, 30000)
            with self.subTest(number=number, n_bytes=n_bytes):
                self.fail_under_load(server, full_at_bytes=("n_written_bytes", n_bytes))

    def fail_at_start(self, count, asked):
        """Every call of a start, or some of them, fails in turn: the server says why and ends, or
        serves rightly."""
        server = self.server()
        self.assertTrue(server.begin())
        n = getattr(server.control, count)
        self.assertEqual(server.stop(), 0)
        n_refused = 0
        for at in sorted(self.random.sample(range(1, n + 1), min(n, FAULTS * 2))):
            what = f"{asked} {at} of {n}, seed {SEED}"
            n_log = len(server.log_text())
            if server.begin(**{asked: at}):
                load(server, self.known, n=3)
                status = server.process.poll()
                if status is None:
                    status = server.stop()
                self.assertIn(status, (0, 1), what + server.last_words(n_log))
            else:
                n_refused += 1
                self.assertEqual(server.process.returncode, 1, what + server.last_words(n_log))
            if server.process.returncode == 1:
                self.assertIn("error: ", server.last_words(n_log), what)
            self.check_sound(server, what)
        self.assertGreater(n_refused, 0)

    def test_a_write_that_fails_at_the_start_is_told(self):
        self.fail_at_start("n_writes", "fail_write")

    def test_a_sync_that_fails_at_the_start_is_told(self):
        self.fail_at_start("n_syncs", "fail_sync")

    def test_a_disk_that_fills_at_the_start_is_told(self):
        self.fail_at_start("n_written_bytes", "full_at_bytes")

    def test_a_process_that_is_killed_at_a_call_loses_nothing(self):
        server = self.server()
        for _ in range(FAULTS):
            at = self.random.randint(1, 150)
            n_log = len(server.log_text())
            if server.begin(kill_at_change=at):
                load(server, self.known, n=60)
            self.assertEqual(server.process.wait(timeout=60), -9, server.last_words(n_log))
            self.check_sound(server, f"killed at change {at}, seed {SEED}")

    def test_below_the_reserve_writes_are_refused_until_there_is_space_again(self):
        server = self.server()
        self.assertTrue(server.begin())
        self.assertEqual(server.get("/readyz"), (200, b"ok"))
        before = server.balance("account-1")
        known = next(iter(self.known.answers))
        watcher = Grpc(server.address)
        self.addCleanup(watcher.close)
        watch = watcher.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=60)
        self.assertEqual(next(watch), SERVING)
        server.control.free_bytes_and_one = LITTLE_SPACE_BYTES + 1
        status, _, answer = server.call("Add", add("space-1", "account-1", points=5))
        self.assertEqual((status, reason(answer)),
                         (503, ("STORE_UNAVAILABLE", "no", "same_request")))
        status, body = server.get("/readyz")
        self.assertEqual(status, 503)
        self.assertIn(b"free space", body)
        self.assertEqual(next(watch), NOT_SERVING)
        # Reads go on, and so do replays, which need no space.
        self.assertEqual(server.balance("account-1"), before)
        client = Client(server.address, self.known)
        self.addCleanup(client.close)
        self.assertEqual(client.send(known), (self.known.answers[known], True))
        server.control.free_bytes_and_one = 0
        status, _, _ = server.call("Add", add("space-1", "account-1", points=5))
        self.assertEqual(status, 200)
        self.assertEqual(server.get("/readyz"), (200, b"ok"))
        self.assertEqual(next(watch), SERVING)
        self.assertEqual(server.balance("account-1"), before + 5)
        self.assertEqual(server.stop(), 0)
        self.check_sound(server, "space")

    def test_nothing_is_answered_or_shown_before_its_sync_has_ended(self):
        server = self.server()
        self.assertTrue(server.begin())
        before = server.balance("account-1")
        answers = []
        server.control.hold_syncs = 1
        writer = threading.Thread(target=lambda: answers.append(
            server.call("Add", add("slow-1", "account-1", points=5))))
        writer.start()
        while server.control.n_syncs_held == 0:
            time.sleep(0.001)
        self.assertEqual(server.balance("account-1"), before)
        status, _, answer = server.call("GetTransaction", {"transactionId": "slow-1"})
        self.assertEqual((status, reason(answer)[0]), (404, "TRANSACTION_NOT_FOUND"))
        self.assertEqual(answers, [])
        server.control.hold_syncs = 0
        writer.join()
        self.assertEqual(answers[0][0], 200)
        self.assertEqual(server.balance("account-1"), before + 5)
        self.assertEqual(server.stop(), 0)
        self.check_sound(server, "a slow sync")


if __name__ == "__main__":
    unittest.main()
