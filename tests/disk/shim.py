"""A server between whose process and disk (or memory) a shim stands: preload/*.c, named by
ZANDAKA_DISK_SHIM and ZANDAKA_MEMORY_SHIM, and the control page by which a test drives it.
"""
import mmap
import os
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "outside"))
from server import Grpc, Server  # noqa: E402

DISK = os.environ.get("ZANDAKA_DISK_SHIM", "build/release/tests/libdisk_shim.so")
MEMORY = os.environ.get("ZANDAKA_MEMORY_SHIM", "build/release/tests/libmemory_shim.so")
# The words of preload/control.h, in their order.
WORDS = ("n_changes", "n_writes", "n_syncs", "n_written_bytes", "n_syncs_held", "n_faults",
         "kill_at_change", "fail_write", "fail_sync", "full_at_bytes", "free_bytes_and_one",
         "hold_syncs", "n_allocations", "n_failed", "fail_allocation", "fail_from_then_on")
PAGE_BYTES = 4096


class Control:
    """The control page: its words are attributes."""

    def __init__(self, path):
        pathlib.Path(path).write_bytes(bytes(PAGE_BYTES))
        with open(path, "r+b") as file:
            self.__dict__["page"] = mmap.mmap(file.fileno(), PAGE_BYTES)

    def clear(self):
        self.page[:] = bytes(PAGE_BYTES)

    def __getattr__(self, word):
        return struct.unpack_from("<Q", self.page, 8 * WORDS.index(word))[0]

    def __setattr__(self, word, value):
        struct.pack_into("<Q", self.page, 8 * WORDS.index(word), value)


class ShimmedServer(Server):
    """Its store is `disk/store` in its directory. `shim` stands before it from the next start() on;
    None: nothing does. `base`: a directory that becomes `disk`."""

    def __init__(self, shim=DISK, record=False, base=None):
        super().__init__("[kind.points]\n[kind.money]\nmax_amount = 1000\nmax_balance = 5000\n")
        self.disk = self.directory / "disk"
        if base is None:
            self.disk.mkdir()
        else:
            base.rename(self.disk)
        self.store = f"rocksdb:{self.disk}/store"
        self.record = self.directory / "record" if record else None
        self.control = Control(self.directory / "control")
        self.shim = shim

    def __enter__(self):
        return self  # a test starts it when it has asked for what it wants

    def start(self, listen="127.0.0.1:0"):
        if not self.shim:
            self.environment = None
            return super().start(listen)
        if not pathlib.Path(self.shim).exists():
            print(f"SKIPPED: there is no {self.shim}", flush=True)
            sys.exit(77)
        self.environment = self.shim_environment()
        return super().start(listen)

    def shim_environment(self):
        environment = {"LD_PRELOAD": str(pathlib.Path(self.shim).resolve()),
                       "ZANDAKA_DISK_DIRECTORY": str(self.disk),
                       "ZANDAKA_DISK_CONTROL": str(self.directory / "control")}
        if self.record:
            environment["ZANDAKA_DISK_RECORD"] = str(self.record)
        return environment

    def begin(self, **asked):
        """Starts with a fresh control page on which `asked` stands; whether it came to serve."""
        self.control.clear()
        for word, value in asked.items():
            setattr(self.control, word, value)
        try:
            self.start()
            return True
        except RuntimeError:
            return False

    def last_words(self, since):
        """What was logged after the first `since` characters."""
        return self.log_text()[since:]
