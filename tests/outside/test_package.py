#!/usr/bin/python3
"""The Debian package: made from the sources, looked at by lintian, installed, run, upgraded, removed and
purged, all on an overlay of this machine that nobody else sees and that is gone at the end."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("ZANDAKA", "build/release/zandaka")).resolve()
NEEDED = ["dh", "lintian", "dpkg-deb", "mandoc", "unshare", "chroot", "setpriv", "git", "curl"]

# $1: an empty directory, $2: the package, $3: a script. Mounts are this namespace's alone.
OVERLAY = """set -e
mount -t tmpfs -o mode=755 overlay "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
mount --bind /dev "$1/root/dev"
mount -t proc proc "$1/root/proc"
cp "$2" "$1/root/zandaka.deb"
exec chroot "$1/root" sh -e -c "$3"
"""

LIFE = r"""
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
told() { echo "told: $*"; }
if getent passwd zandaka >/dev/null || [ -e /var/lib/zandaka ]; then
    echo "zandaka is installed on this machine" >&2; exit 77
fi
dpkg -i /zandaka.deb
told owner "$(stat -c '%U %a' /var/lib/zandaka)" "$(stat -c '%U:%G %a' /etc/zandaka)"
told shell "$(getent passwd zandaka | cut -d: -f7)"
as_user="setpriv --reuid zandaka --regid zandaka --init-groups"
serve() {
    rm -f /var/lib/zandaka/address
    $as_user /usr/bin/zandaka serve --config /etc/zandaka/zandaka.conf --listen 127.0.0.1:0 \
        --address-file /var/lib/zandaka/address >>/var/lib/zandaka/log 2>&1 &
    serving=$!
    until [ -e /var/lib/zandaka/address ]; do
        kill -0 $serving || { cat /var/lib/zandaka/log; exit 1; }
        sleep 0.05
    done
    ZANDAKA_SERVER=$(cat /var/lib/zandaka/address); export ZANDAKA_SERVER
}
end() {
    kill -TERM $serving
    wait $serving; told status $?
}
$as_user zandaka serve --config /etc/zandaka/zandaka.conf --check-config
serve
zandaka add --id first --account alice points=7
told ready "$(curl -s "http://$ZANDAKA_SERVER/readyz")"
end
printf '\n; mine\n' >> /etc/zandaka/zandaka.conf
dpkg -i /zandaka.deb
told kept "$(tail -n 1 /etc/zandaka/zandaka.conf)"
serve
told balance "$(zandaka balance --account alice | tr -s ' \n' ' ')"
end
$as_user zandaka verify --store rocksdb:/var/lib/zandaka/store
told manuals "$(ls /usr/share/man/man*/zandaka*.gz | wc -l)"
dpkg -r zandaka
told removed "$(ls /usr/bin/zandaka /lib/systemd/system/zandaka.service 2>/dev/null)" "$(ls /etc/zandaka)"
dpkg -P zandaka
told purged "$(ls -d /etc/zandaka 2>/dev/null)" "$(ls -d /var/lib/zandaka/store)"
"""


class Package(unittest.TestCase):
    def test_manual_says_what_the_program_does(self):
        made = subprocess.run([SOURCE / "scripts/make_man.py", BINARY], capture_output=True,
                              text=True, check=True).stdout
        self.assertEqual(made, (SOURCE / "deploy/man/zandaka.1").read_text(),
                         "scripts/make_man.py BINARY > deploy/man/zandaka.1 makes it anew")

    def test_manual_of_the_configuration_has_every_key(self):
        text = (SOURCE / "deploy/man/zandaka.conf.5").read_text()
        source = (SOURCE / "src/app/config.c").read_text()
        import re
        keys = re.findall(r'\{"(\w+)", SECTION_\w+, KEY_\w+\}', source)
        self.assertGreater(len(keys), 10)
        for key in keys:
            self.assertIn(f".B {key}\n", text)

    def test_manuals_are_well_formed(self):
        for manual in (SOURCE / "deploy/man").iterdir():
            subprocess.run(["mandoc", "-Tlint", "-Wwarning", manual], check=True)

    def test_versions_agree(self):
        changelog = (SOURCE / "debian/changelog").read_text()
        version = subprocess.run([BINARY, "version"], capture_output=True, text=True,
                                 check=True).stdout.split()[1]
        self.assertTrue(changelog.startswith(f"zandaka ({version})"))

    def test_default_configuration_is_taken(self):
        subprocess.run([BINARY, "serve", "--config", SOURCE / "deploy/zandaka.conf",
                        "--check-config"], check=True)

    def test_made_looked_at_installed_run_removed(self):
        with tempfile.TemporaryDirectory(prefix="zandaka-package-") as directory:
            tree = pathlib.Path(directory) / "zandaka"
            overlay = pathlib.Path(directory) / "overlay"
            overlay.mkdir()
            files = subprocess.run(["git", "ls-files", "-z"], cwd=SOURCE, capture_output=True,
                                   check=True).stdout.decode().split("\0")
            for name in filter(None, files):
                if (SOURCE / name).is_file():
                    (tree / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(SOURCE / name, tree / name)
            made = subprocess.run(["debian/rules", "binary"], cwd=tree, capture_output=True,
                                  text=True, timeout=800,
                                  env=dict(os.environ, DEB_RULES_REQUIRES_ROOT="no"))
            self.assertEqual(made.returncode, 0, made.stdout[-4000:] + made.stderr[-4000:])
            package, = (tree / "build/deb").glob("zandaka_*.deb")
            looked = subprocess.run(["lintian", "--fail-on", "error,warning", package],
                                    capture_output=True, text=True, timeout=120)
            self.assertEqual(looked.returncode, 0, looked.stdout + looked.stderr)
            self.live(overlay, package)

    def live(self, overlay, package):
        if os.geteuid() != 0:
            self.skipTest("only root can install: it was made, but not installed")
        before = subprocess.run(["dpkg-query", "-W"], capture_output=True, check=True).stdout
        lived = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c",
                                OVERLAY, "sh", overlay, package, LIFE],
                               capture_output=True, text=True, timeout=300)
        if "overlay" in lived.stderr and "told:" not in lived.stdout:
            self.skipTest(f"no overlay can be mounted here: {lived.stderr}")
        if lived.returncode == 77:
            self.skipTest(lived.stderr)
        self.assertEqual(lived.returncode, 0, lived.stdout + lived.stderr)
        told = [line.removeprefix("told: ") for line in lived.stdout.splitlines()
                if line.startswith("told: ")]
        self.assertEqual(told[:5], [
            "owner zandaka 700 root:zandaka 750", "shell /usr/sbin/nologin", "ready ok",
            "status 0", "kept ; mine"], lived.stdout)
        self.assertRegex(told[5], r"\Abalance .*points\D+7\b")
        self.assertEqual(told[6:], ["status 0", "manuals 2", "removed  zandaka.conf",
                                    "purged  /var/lib/zandaka/store"], lived.stdout)
        self.assertIn("/var/lib/zandaka stays", lived.stderr)
        after = subprocess.run(["dpkg-query", "-W"], capture_output=True, check=True).stdout
        self.assertEqual(before, after, "something was left on the machine")
        self.assertEqual(subprocess.run(["getent", "passwd", "zandaka"]).returncode, 2)


if __name__ == "__main__":
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        print(f"missing: {', '.join(missing)}; the package was not tested", file=sys.stderr)
        sys.exit(77)
    result = unittest.main(verbosity=2, exit=False).result
    for test, reason in result.skipped:
        print(f"SKIPPED {test}: {reason}", file=sys.stderr)
    sys.exit(1 if not result.wasSuccessful() else 77 if result.skipped else 0)
