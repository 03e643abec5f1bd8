#!/usr/bin/env python3
"""Who may know whom: every #include of src/ against the table of docs/architecture.md.

Across folders only a folder's public header, named after it, is included; third-party headers stay
in the one folder that is responsible for them.
"""
import pathlib
import re
import sys

ALL = {"base", "record", "ledger", "store", "service", "access", "wire", "net", "api"}
MAY_KNOW = {
    "base": set(),
    "record": {"base"},
    "ledger": {"record", "base"},
    "store": {"ledger", "record", "base"},
    "service": {"store", "ledger", "record", "base"},
    "access": {"base"},
    "wire": {"base"},
    "net": {"base"},
    "api": {"service", "store", "ledger", "record", "access", "wire", "base"},
    "app": ALL,
}
# A database that is reached by gRPC needs what speaks it.
MAY_KNOW_BESIDES = {"store/spanner": {"wire", "net"}}
# The backends' headers are public to app, which alone names a backend.
BACKENDS = {"store/memory/memory.h", "store/rocksdb/rocksdb.h", "store/postgres/postgres.h",
            "store/spanner/spanner.h"}
THIRD_PARTY = {
    r"nghttp2/": {"wire"},
    r"rocksdb/": {"store/rocksdb"},
    r"libpq": {"store/postgres"},
    r"protobuf-c/|.*\.pb-c\.h": {"record", "api", "store/spanner"},
    r"jansson\.h": {"api", "store/spanner"},
    r"nettle/|xxhash\.h": {"base"},
    r"ini\.h|csv\.h": {"app"},
    r"openssl/": {"net", "store/spanner"},
    r"sys/epoll\.h|netdb\.h|netinet/": {"net"},
}


def complaint(source: str, included: str, system: bool) -> str | None:
    folder = source.split("/")[0]
    for pattern, owners in THIRD_PARTY.items():
        if re.match(pattern, included):
            if not any(source.startswith(owner + "/") for owner in owners):
                return f"{included} belongs to {', '.join(sorted(owners))}"
            return None
    if system:
        return None
    target = included.split("/")[0]
    if target == folder:
        return None
    besides = MAY_KNOW_BESIDES.get(source.rpartition("/")[0], set())
    if target not in MAY_KNOW[folder] | besides:
        return f"{folder} may not know {target}"
    if included != f"{target}/{target}.h" and not (folder == "app" and included in BACKENDS):
        return f"{included} is not the public header of {target}"
    return None


def main() -> int:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "src")
    bad = 0
    files = sorted(root.rglob("*.[ch]"))
    for path in files:
        source = path.relative_to(root).as_posix()
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
            if not match:
                continue
            why = complaint(source, match[2], match[1] == "<")
            if why:
                print(f"{path}:{number}: {why}")
                bad += 1
    print(f"{len(files)} files, {bad} includes against the layers")
    return 1 if bad or not files else 0


if __name__ == "__main__":
    sys.exit(main())
