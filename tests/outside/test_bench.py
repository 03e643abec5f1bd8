#!/usr/bin/python3
"""`zandaka bench` runs every workload against the real server, and what it wrote is sound."""
import json
import unittest

from server import Server

WORKLOADS = ["single", "single64", "batch", "batch1024", "lone", "hot", "hot64", "replay", "refused", "reads", "mixed",
             "door"]


class Bench(unittest.TestCase):
    def test_every_workload_runs_and_leaves_a_sound_store(self):
        with Server() as server:
            for workload in WORKLOADS:
                done = server.run("bench", "--directory", str(server.directory), "--workload",
                                  workload, "--rounds", "1", "--seconds", "1", "--json")
                self.assertEqual(done.returncode, 0, done.stderr)
                figures = json.loads(done.stdout)
                self.assertEqual(figures["workload"], workload)
                self.assertGreater(figures["per_second"][1], 0)
            done = server.run("bench", "--directory", str(server.directory), "--rate", "500",
                              "--rounds", "1", "--seconds", "1", "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            # By the clock: no more than were due.
            self.assertLessEqual(json.loads(done.stdout)["per_second"][1], 501)
            self.assertEqual(server.stop(), 0)
            verified = server.verify()
            self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)

    def test_wrong_flags_say_what_there_is(self):
        with Server(store="memory:") as server:
            for flags, told in [(["--workload", "nothing"], "mixed"), (["--rate", "0"], "from 1"),
                                (["--rounds", "101"], "from 1 to 100")]:
                done = server.run("bench", "--directory", str(server.directory), *flags)
                self.assertEqual(done.returncode, 2)
                self.assertIn(told, done.stderr)
            done = server.run("bench")
            self.assertEqual((done.returncode, "--directory" in done.stderr), (2, True))


if __name__ == "__main__":
    unittest.main()
