#!/usr/bin/python3
"""What `make install` publishes of the API is whole: the proto files compile without this tree.

    test_install.py BUILD
"""
import pathlib
import subprocess
import sys
import tempfile
import unittest


class Install(unittest.TestCase):
    def test_the_installed_proto_files_compile_by_themselves(self):
        with tempfile.TemporaryDirectory() as prefix:
            subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], check=True,
                           capture_output=True)
            share = pathlib.Path(prefix) / "share/zandaka"
            protos = sorted(str(each.relative_to(share / "proto"))
                            for each in (share / "proto").rglob("*.proto"))
            self.assertIn("zandaka/v1/balance_service.proto", protos)
            self.assertNotIn("zandaka/v1/stored_answers.proto", protos)
            subprocess.run(["protoc", "-I", share / "proto", f"--python_out={prefix}", *protos],
                           check=True)
            self.assertTrue((share / "balance_service.openapi.json").exists())
            self.assertTrue((share / "service_config.json").exists())
            self.assertTrue((pathlib.Path(prefix) / "bin/zandaka").exists())


if __name__ == "__main__":
    BUILD = sys.argv.pop(1)
    unittest.main()
