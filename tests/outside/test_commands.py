"""The command line as a person uses it: the five minutes of the README, what is printed, and the exit
status of each ending (docs/cli.md).
"""
import json
import unittest

from server import Server, add


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def expect(self, status, *arguments):
        done = self.server.run(*arguments)
        self.assertEqual(done.returncode, status, done)
        self.assertEqual(bool(done.stderr), status != 0, done)
        return done.stderr if status else done.stdout

    def test_the_five_minutes_of_the_readme(self):
        account = ("--account", "readme")
        self.expect(0, "add", "--id", "order-1-grant", *account, "points=100", "money=2000")
        pay = ("consume", "--id", "order-1-pay", *account)
        first = self.expect(0, *pay, "points=100")
        again = self.expect(0, *pay, "points=100")
        self.assertNotEqual(first, again)  # it says that it was a replay
        self.assertIn("TRANSACTION_ID_REUSED", self.expect(3, *pay, "points=90"))
        poor = ("consume", "--id", "order-2-pay", *account, "points=1")
        refusal = self.expect(3, *poor)
        self.assertIn("INSUFFICIENT_BALANCE", refusal)
        self.assertIn("points", refusal)
        self.expect(0, "cancel", "--id", "order-2-pay")
        self.expect(0, "add", "--id", "order-3-grant", *account, "points=50")
        self.assertIn("TRANSACTION_CANCELLED", self.expect(3, *poor))
        self.assertIn("TRANSACTION_SUCCEEDED", self.expect(3, "cancel", "--id", "order-1-pay"))
        told = self.expect(0, "balance", *account)
        self.assertIn("50", told)
        self.assertIn("2000", told)
        history = self.expect(0, "history", *account)
        for transaction in ("order-1-grant", "order-1-pay", "order-3-grant"):
            self.assertIn(transaction, history)
        self.assertNotIn("order-2-pay", history)
        self.assertIn("order-1-pay", self.expect(0, "transaction", "--id", "order-1-pay"))

    def test_json_is_the_servers_answer_on_one_line(self):
        account = ("--account", "machine")
        told = json.loads(self.expect(0, "add", "--id", "json-1", *account, "points=7", "--json"))
        self.assertEqual(self.server.call("Add", add("json-1", "machine", points=7))[2], told)
        self.expect(0, "consume", "--id", "json-2", *account, "points=2", "--json")
        balance = json.loads(self.expect(0, "balance", *account, "--json"))
        self.assertEqual(self.server.call("GetBalance", {"accountId": "machine"})[2], balance)
        entries = self.expect(0, "history", *account, "--json").splitlines()
        self.assertEqual([json.loads(entry)["amount"] for entry in entries], ["-2", "7"])
        newest = self.expect(0, "history", *account, "--json", "--limit", "1").splitlines()
        self.assertEqual(newest, entries[:1])
        self.assertEqual(self.expect(0, "history", *account, "--json", "--kind", "money"), "")
        found = json.loads(self.expect(0, "transaction", "--id", "json-2", "--json"))
        self.assertIn("json-2", json.dumps(found))

    def test_what_is_wrong_ends_with_its_own_status(self):
        account = ("--account", "alice")
        self.assertIn("TRANSACTION_NOT_FOUND", self.expect(3, "transaction", "--id", "no-such"))
        self.assertIn("UNKNOWN_KIND",
                      self.expect(3, "add", "--id", "wrong-1", *account, "gold=1"))
        self.expect(2, "add", *account, "points=1")
        self.expect(2, "add", "--id", "wrong-2", *account, "points=none")
        self.expect(2, "add", "--id", "wrong-2", *account)
        self.expect(2, "nothing-of-the-kind")
        nobody = ("--server", "127.0.0.1:1", "--timeout", "1")
        self.expect(4, "add", "--id", "wrong-3", *account, "points=1", *nobody)
        self.expect(4, "balance", *account, *nobody)

    def import_text(self, status, text, *arguments):
        """An import of a file with that text: (standard output, standard error)."""
        path = self.server.directory / "rows.csv"
        path.write_text(text)
        done = self.server.run("import", str(path), *arguments)
        self.assertEqual(done.returncode, status, done)
        return done.stdout, done.stderr

    def test_an_import_tells_what_was_refused_and_what_differs(self):
        rows = ("transaction_id,operation,account_id,kind,amount,balance\n"
                "import-1,add,dora,points,100,100\n"
                "import-2,consume,dora,points,30,70\n"
                "import-3,add,emil,points,5,5\n")
        told, _ = self.import_text(0, rows, "--balance-column", "balance")
        self.assertEqual(told.splitlines()[-1], "3 rows: 3 applied, 0 replayed, 0 refused; "
                                                "2 accounts: 2 balances match")
        told, _ = self.import_text(0, rows)
        self.assertEqual(told.splitlines()[-1], "3 rows: 0 applied, 3 replayed, 0 refused")
        more = rows + "import-4,consume,dora,points,999,70\nimport-5,add,emil,points,1,7\n"
        told, wrong = self.import_text(3, more, "--balance-column", "balance")
        self.assertTrue(told.splitlines()[-1].startswith(
            "5 rows: 1 applied, 3 replayed, 1 refused; 2 accounts: 1 "), told)
        self.assertIn("import-4", told + wrong)
        self.assertIn("INSUFFICIENT_BALANCE", told + wrong)
        self.assertIn("emil", told + wrong)
        self.assertEqual(self.server.balance("emil"), 6)

    def test_a_file_with_a_mistake_is_not_begun(self):
        head = "transaction_id,operation,account_id,kind,amount\n"
        good = "mistake-1,add,frida,points,1\n"
        for bad in ("mistake-2,add,frida,points,one\n", "mistake-2,give,frida,points,1\n",
                    "mistake-2,add,frida,points\n", "mistake-2,add,frida,POINTS,1\n"):
            _, wrong = self.import_text(2, head + good + bad)
            self.assertIn("3", wrong)  # the line; the header is line 1
        self.import_text(2, "")
        self.assertEqual(self.server.run("import", "/no/such/file.csv").returncode, 2)
        self.assertEqual(self.server.balance("frida"), 0)

    def test_labels_are_the_first_ones_for_ever(self):
        first = {**add("labels-1", "carol", points=3), "description": "lunch",
                 "metadata": {"shop": "no 7", "till": "2"}}
        status, _, answer = self.server.call("Add", first)
        self.assertEqual(status, 200)
        self.assertEqual(answer["metadata"], first["metadata"])
        self.assertEqual(answer["description"], "lunch")
        again = self.server.call("Add", {**first, "description": "", "metadata": {"shop": "other"}})
        self.assertEqual((again[0], again[2]), (200, answer))
        self.assertIn("lunch", self.expect(0, "transaction", "--id", "labels-1"))


if __name__ == "__main__":
    unittest.main()
