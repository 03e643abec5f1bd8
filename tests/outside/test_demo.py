#!/usr/bin/python3
"""`make demo` as the test suite runs it: a bank's real transactions, with kills."""
import pathlib
import subprocess
import unittest

from server import BINARY

DEMO = pathlib.Path(__file__).resolve().parents[2] / "scripts/demo.py"


class Demo(unittest.TestCase):
    def test_the_demo_ends_on_the_banks_balances(self):
        done = subprocess.run([DEMO, BINARY], capture_output=True, text=True, timeout=800)
        print(done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("Proved:", done.stdout)


if __name__ == "__main__":
    unittest.main()
