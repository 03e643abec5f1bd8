"""Certificates for the tests, made by openssl's command line: authorities, and what they sign."""
import pathlib
import subprocess


def run(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


class Authority:
    """An authority of its own in `directory`; its certificate is in the file `path`."""

    def __init__(self, directory, name="authority"):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(exist_ok=True)
        self.path = self.directory / f"{name}.pem"
        self.key = self.directory / f"{name}.key"
        run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", str(self.key), "-out", str(self.path), "-days", "2", "-subj", f"/CN={name}",
            "-addext", "basicConstraints=critical,CA:TRUE")

    def sign(self, name, names="", days=2):
        """A certificate for those alternative names, as in `DNS:localhost,IP:127.0.0.1`, and its key:
        the two files."""
        request = self.directory / f"{name}.csr"
        certificate = self.directory / f"{name}.pem"
        key = self.directory / f"{name}.key"
        extensions = self.directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName={names}\n" if names else "")
        run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            str(key), "-out", str(request), "-subj", f"/CN={name}")
        run("x509", "-req", "-in", str(request), "-CA", str(self.path), "-CAkey", str(self.key),
            "-CAcreateserial", "-days", str(days), "-extfile", str(extensions), "-out",
            str(certificate))
        return certificate, key
