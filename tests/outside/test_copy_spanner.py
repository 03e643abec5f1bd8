#!/usr/bin/python3
"""Moving house to Cloud Spanner (its emulator) and back: `zandaka copy`, interrupted on the way.

ZANDAKA_SEED repeats a run's choices.
"""
import resource
import subprocess
import time
import unittest

import test_copy
from server import BINARY
from spanner import Emulator
from test_copy import Whole, copy, run

emulator = None
whole = None


def setUpModule():
    global emulator, whole
    emulator = Emulator()
    # The emulator is slow.
    test_copy.CALLS = 4
    whole = test_copy.whole = Whole()


def tearDownModule():
    whole.close()
    emulator.close()


class CopySpanner(test_copy.Copy):
    def test_there_and_back_again(self):
        there = emulator.new_store()
        said = self.done(copy(whole.store, there))
        count = whole.verdict.split("transactions: ")[1].split(" ")[0]
        self.assertIn(f"copied: {count} transactions", said)
        back = f"rocksdb:{whole.new_directory()}"

        # The first attempt back is ended by the system.
        def limit():
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (50 << 10, 50 << 10))
        self.assertNotEqual(copy(there, back, preexec_fn=limit).returncode, 0)
        self.assert_closed(back)
        self.done(copy(there, back))
        ids = [each["transaction"]["transactionId"]
               for each in whole.random.sample(whole.answers, 50)]
        for store in [there, back]:
            self.assert_same(store)
            self.assertEqual(self.replays(store, ids), self.replays(whole.store, ids))
            for transaction_id in ids[:3]:
                self.assertEqual(self.audit(store, transaction_id),
                                 self.audit(whole.store, transaction_id))
        self.refused(copy(back, there), "holds a store already", "make an empty database")
        self.assertEqual(whole.verify(there), whole.verdict)

    def interrupted(self):
        """A database in which a copy was killed, after its beginning and before its end."""
        there = emulator.new_store()
        for attempt in range(500):
            process = subprocess.Popen([BINARY, "copy", "--from", whole.store, "--to", there],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.05 * (attempt + 1))
            process.kill()
            process.wait()
            verified = run("verify", "--store", there)
            if "not come to its end" in verified.stderr:
                return there
            if verified.stdout == whole.verdict:
                there = emulator.new_store()
        return self.fail("no copy was met between its beginning and its end")

    def test_a_copy_that_was_interrupted_is_closed_and_goes_on(self):
        there = self.interrupted()
        self.assert_closed(there)
        applied = run("schema", "--store", there, "--apply")
        self.refused(applied, "not come to its end", "nothing was changed")
        self.done(copy(whole.store, there))
        self.assert_same(there)


def load_tests(loader, tests, pattern):
    """Those of test_copy are run there."""
    return unittest.TestSuite(CopySpanner(name) for name in vars(CopySpanner)
                              if name.startswith("test_"))


if __name__ == "__main__":
    unittest.main()
