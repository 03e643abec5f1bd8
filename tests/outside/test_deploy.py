#!/usr/bin/python3
"""deploy/: rules that promtool takes, alerts that fire when they should, a dashboard whose expressions
parse; and none of them asks for a metric that there is not."""
import json
import re
import tempfile
import unittest

import promtool

DEPLOY = promtool.SOURCE / "deploy"
ALERTS = DEPLOY / "prometheus/zandaka-alerts.yml"


def dashboard():
    return json.loads((DEPLOY / "grafana/zandaka.json").read_text())


def dashboard_expressions():
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            yield target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")


class Deploy(unittest.TestCase):
    def check(self, *arguments):
        checked = promtool.run(*arguments)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_rules_and_their_tests(self):
        self.check("check", "rules", ALERTS)
        self.check("test", "rules", DEPLOY / "prometheus/zandaka-alerts.test.yml")
        self.check("check", "config", DEPLOY / "prometheus/prometheus.yml")

    def test_each_alert_is_seen_to_fire_and_to_be_silent(self):
        names = set(re.findall(r"- alert: (\w+)", ALERTS.read_text()))
        tests = (DEPLOY / "prometheus/zandaka-alerts.test.yml").read_text()
        self.assertEqual(names, set(re.findall(r"alertname: (\w+)", tests)))
        self.assertEqual(names, set(re.findall(r'alertname="(\w+)"', tests)))

    def test_dashboard_expressions_parse(self):
        expressions = list(dashboard_expressions())
        self.assertGreater(len(expressions), 15)
        rules = [{"record": f"panel:{i}", "expr": expression}
                 for i, expression in enumerate(expressions)]
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, file)
            file.flush()
            self.check("check", "rules", file.name)

    def test_panels_have_a_place_and_an_id_of_their_own(self):
        panels = dashboard()["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        self.assertEqual(len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}),
                         len(panels))

    def test_what_is_asked_for_is_there(self):
        text = promtool.all_metrics()
        there = set(re.findall(r"^([a-z]\w+)", text, re.M))
        values = set(re.findall(r'\w+="([^"]+)"', text))
        alerts = " ".join(line for line in ALERTS.read_text().splitlines()
                          if not re.match(r"\s*(#|summary|what_to_do|- alert|labels)", line))
        for source in (alerts, " ".join(dashboard_expressions())):
            asked = set(re.findall(r"\b(?:zandaka|grpc_server|process)_\w+", source))
            self.assertGreater(len(asked), 5)
            self.assertLessEqual(asked, there)
            for label in re.findall(r'(?:outcome|reason|kind)=~?"([^"]+)"', source):
                self.assertLessEqual(set(label.split("|")), values)


if __name__ == "__main__":
    promtool.skip_without()
    unittest.main(verbosity=2)
