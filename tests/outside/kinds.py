"""Several servers on one database, of which one has a kind that the others' configurations lack. For
every database that servers share: a subclass has new_store().
"""
import time

import test_contract
from server import Server

POINTS = "[kind.points]\n"
MONEY = POINTS + "[kind.money]\n"
MONEY_WITHDRAWN = MONEY + "withdrawn = yes\n"


class Kinds:
    def assert_ready(self, *servers):
        for server in servers:
            self.assertEqual(server.get("/readyz")[0], 200)

    def assert_not_ready(self, server):
        status, why = server.get("/readyz")
        self.assertEqual(status, 503)
        self.assertIn(b"a kind that another server began and this configuration lacks", why)

    def wait_for_log(self, server, words):
        while words not in server.log_text():
            time.sleep(0.02)

    def test_a_kind_that_another_began_leaves_a_server_ready_until_it_meets_an_account_with_it(self):
        store = self.new_store()
        with Server(POINTS, store=store) as one, Server(MONEY, store=store) as two:
            self.wait_for_log(one, "another server has begun a kind that this configuration lacks")
            self.assertEqual(two.call("Add", test_contract.add("t1", points=5))[0], 200)
            self.assertEqual(one.call("Add", test_contract.add("t2", points=5))[0], 200)
            self.assertEqual(one.balance("alice"), 10)
            self.assertEqual(two.call("Add", test_contract.add("t3", account="bob", money=5))[0], 200)
            self.assertEqual(one.balance("alice"), 10)
            self.assert_ready(one, two)
            for method in "GetBalance", "ListEntries":
                status, _, answer = one.call(method, {"accountId": "bob"})
                self.assertEqual((status, answer["details"][0]["debug"]["reason"]),
                                 (503, "STORE_UNAVAILABLE"))
                self.assert_not_ready(one)
            # All others are served as before, which makes it no readier.
            self.assertEqual(one.call("Add", test_contract.add("t4", points=5))[0], 200)
            self.assertEqual(one.balance("alice"), 15)
            self.assert_not_ready(one)
            self.assertEqual(two.balance("bob", "money"), 5)
            self.assert_ready(two)
            one.stop()
            one.config.write_text(MONEY)
            one.start()
            self.assertEqual(one.balance("bob", "money"), 5)
            self.assert_ready(one)

    def test_a_history_is_enough_to_meet_it_and_leaves_out_nothing(self):
        store = self.new_store()
        with Server(POINTS, store=store) as one, Server(MONEY, store=store) as two:
            two.call("Add", test_contract.add("t1", points=5))
            self.assertEqual(one.call("ListEntries", {"accountId": "alice"})[0], 200)
            two.call("Add", test_contract.add("t2", money=5))
            status, _, page = one.call("ListEntries", {"accountId": "alice", "kinds": ["points"]})
            if status == 200:
                self.assertEqual(len(page["entries"]), 1)
            self.assertEqual(one.call("ListEntries", {"accountId": "alice"})[0], 503)
            self.assert_not_ready(one)

    def test_a_write_is_enough_to_meet_it(self):
        store = self.new_store()
        with Server(POINTS, store=store) as one, Server(MONEY, store=store) as two:
            two.call("Add", test_contract.add("t1", money=5))
            status, _, _ = one.call("Add", test_contract.add("t2", points=5))
            self.assertIn(status, (200, 503))
            self.assert_not_ready(one)
            self.assertEqual(two.call("Add", test_contract.add("t2", points=5))[0], 200)
            self.assertEqual(two.balance("alice"), 5)

    def test_a_kind_is_added_in_two_rounds_while_all_servers_stay_ready(self):
        """As docs/operations.md says, "Another kind"."""
        store = self.new_store()
        with Server(POINTS, store=store) as one, Server(POINTS, store=store) as two:
            def restart(server, config):
                self.assertEqual(server.stop(), 0)
                server.config.write_text(config)
                server.start()
                for name, each in ("a", one), ("b", two):
                    self.assertEqual(each.call("Add", test_contract.add("t-" + name, points=5))[0], 200)
                    self.assertEqual(each.call("GetBalance", {"accountId": "alice"})[0], 200)
                self.assert_ready(one, two)

            for server in one, two:
                restart(server, MONEY_WITHDRAWN)
                status, _, answer = server.call("Add", test_contract.add("m", money=5))
                self.assertEqual((status, answer["details"][0]["debug"]["reason"]),
                                 (400, "UNKNOWN_KIND"))
            restart(one, MONEY)
            self.assertEqual(one.call("Add", test_contract.add("m", money=5))[0], 200)
            self.assertEqual([each.balance("alice", "money") for each in (one, two)], [5, 5])
            self.assert_ready(one, two)
            restart(two, MONEY)
            self.assertEqual(two.call("Consume", test_contract.add("c", money=5))[0], 200)
