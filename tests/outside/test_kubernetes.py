#!/usr/bin/python3
"""deploy/kubernetes/: the manifests against Kubernetes' own schemas (the package kubernetes-validate,
which pip brings into the build), against one another, and against a real server: its configuration is
taken, its probes are answered, its time to end is enough."""
import pathlib
import re
import ssl
import subprocess
import sys
import tempfile
import unittest
import urllib.request

import yaml

from certificates import Authority
from server import BINARY, Server

SOURCE = pathlib.Path(__file__).resolve().parents[2]
MANIFESTS = SOURCE / "deploy/kubernetes/zandaka.yaml"
VALIDATOR = "kubernetes-validate==1.37.0"
# An old cluster, and the newest that the package knows.
VERSIONS = ["1.28", "1.37"]
DRAIN_S = 20
CALLER = f"[caller.shop]\ntoken_sha256 = {'0' * 64}\n"


def validator():
    """The directory with the package; None: it cannot be had."""
    directory = pathlib.Path(BINARY).resolve().parent / "kubernetes-validate"
    if not (directory / "kubernetes_validate").exists():
        fetched = subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--target", str(directory),
             VALIDATOR], capture_output=True, text=True)
        if fetched.returncode != 0:
            print(f"SKIPPED: {VALIDATOR} cannot be had: {fetched.stderr.strip()[-200:]}",
                  file=sys.stderr, flush=True)
            return None
    return directory


class Kubernetes(unittest.TestCase):
    def setUp(self):
        self.documents = list(yaml.safe_load_all(MANIFESTS.read_text()))
        self.pod = self.one("Deployment")["spec"]["template"]
        self.container, = self.pod["spec"]["containers"]
        self.configuration = self.one("ConfigMap")["data"]["zandaka.conf"]

    def one(self, kind, name="zandaka"):
        found, = [each for each in self.documents
                  if (each["kind"], each["metadata"]["name"]) == (kind, name)]
        return found

    def test_kubernetes_schemas_take_them(self):
        directory = validator()
        if directory is None:
            self.skipTest(f"{VALIDATOR} cannot be had")
        sys.path.insert(0, str(directory))
        import kubernetes_validate
        for version in VERSIONS:
            for document in self.documents:
                kubernetes_validate.validate(document, version, strict=True)
        # That it can fail.
        del document["spec"]["selector"]["matchLabels"]
        document["spec"]["selector"]["matchLables"] = {}
        with self.assertRaises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(document, VERSIONS[0], strict=True)

    def test_they_speak_of_the_same_things(self):
        labels = self.pod["metadata"]["labels"]
        deployment = self.one("Deployment")["spec"]
        ports = {port["name"]: port["containerPort"] for port in self.container["ports"]}
        self.assertEqual(deployment["selector"]["matchLabels"], labels)
        self.assertEqual(self.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"], labels)
        self.assertLess(self.one("PodDisruptionBudget")["spec"]["minAvailable"],
                        deployment["replicas"])
        for name in ["zandaka", "zandaka-servers"]:
            service = self.one("Service", name)["spec"]
            self.assertEqual(service["selector"], labels)
            self.assertIn(service["ports"][0]["targetPort"], ports)
        self.assertIn(f"listen = 0.0.0.0:{ports['https']}\n", self.configuration)
        # Everything that is mounted is there, and every secret is made by a command of the README.
        volumes = {volume["name"]: volume for volume in self.pod["spec"]["volumes"]}
        self.assertEqual({mount["name"] for mount in self.container["volumeMounts"]}, set(volumes))
        secrets = {volume["secret"]["secretName"] for volume in volumes.values()
                   if "secret" in volume}
        secrets |= {each["valueFrom"]["secretKeyRef"]["name"] for each in self.container["env"]}
        readme = (SOURCE / "deploy/kubernetes/README.md").read_text()
        self.assertEqual(set(re.findall(r"create secret \w+ ([\w-]+)", readme)), secrets)
        for file in re.findall(r"= (/etc/\S+)", self.configuration):
            self.assertTrue(any(file.startswith(mount["mountPath"] + "/")
                                for mount in self.container["volumeMounts"]), file)

    def test_there_is_time_for_the_lame_duck_and_the_drain(self):
        lame_duck_s = int(re.search(r"lame_duck_ms = (\d+)", self.configuration)[1]) / 1000
        readiness = self.container["readinessProbe"]
        self.assertGreater(lame_duck_s, readiness["periodSeconds"] * readiness["failureThreshold"])
        self.assertGreaterEqual(self.pod["spec"]["terminationGracePeriodSeconds"],
                                lame_duck_s + DRAIN_S + 10)
        limits = (SOURCE / "src/base/limits.h").read_text()
        self.assertIn(f"#define BASE_DRAIN_TIMEOUT_MS {DRAIN_S * 1000}\n", limits)

    def test_a_server_takes_the_configuration_and_answers_the_probes(self):
        with tempfile.TemporaryDirectory(prefix="zandaka-kubernetes-") as name:
            directory = pathlib.Path(name)
            authority = Authority(directory)
            certificate, key = authority.sign("server", "IP:127.0.0.1")
            (directory / "callers.ini").write_text(CALLER)
            configuration = self.configuration
            for there, here in [("tls/tls.crt", certificate), ("tls/tls.key", key),
                                ("callers/callers.ini", directory / "callers.ini")]:
                self.assertIn(f"/etc/zandaka/{there}\n", configuration)
                configuration = configuration.replace(f"/etc/zandaka/{there}", str(here))
            self.assertEqual(self.container["args"][:2], ["serve", "--config"])
            self.assertEqual(self.container["env"][0]["name"], "ZANDAKA_STORE")
            # Shorter, since it is waited for here.
            configuration = configuration.replace("lame_duck_ms = 10000", "lame_duck_ms = 1")
            # As a kubelet asks: over TLS, without looking at the certificate, without a token.
            unchecked = ssl.create_default_context()
            unchecked.check_hostname = False
            unchecked.verify_mode = ssl.CERT_NONE
            with Server(configuration, store="memory:") as server:
                for probe in ["livenessProbe", "readinessProbe"]:
                    asked = self.container[probe]["httpGet"]
                    self.assertEqual(asked["scheme"], "HTTPS")
                    with urllib.request.urlopen(f"https://{server.address}{asked['path']}",
                                                context=unchecked, timeout=30) as answer:
                        self.assertEqual(answer.status, 200)
                self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
