"""What a power cut may leave of a directory, from the record that preload/disk.c wrote.

The record is replayed line by line. At any line the model knows, of each file, what is durable and
what was written since; and of each directory, which changes of names are durable.

- A sync of a file that has ended makes durable what was written to it before the sync began. What
  was written later, or to a file whose sync had begun but not ended, may be lost.
- Of the unsynced writes and truncations of one file, in the order in which they were made, a power
  cut leaves any of: all; none; the first few, the last of these cut at any byte; or any subset of
  their blocks: sectors where they write over what was there, pages where they make the file longer
  (the kernel writes pages back in the order that it likes). A block that is missing
  before one that is there reads as it was, or as zeros where the file had not been so long. The
  file is then as long as the last block that is there, or as long as it was to become.
- Names (created, renamed, removed) change in the order of the file system's journal: a power cut
  leaves those that a sync of their directory made durable, and the first few of the others. A file
  whose name is not durable is gone, whatever was synced of it: POSIX promises no more, though ext4
  does.
- Files do not wait for one another: each has a state of its own, names apart.
- sync_file_range promises nothing, and space set aside by fallocate changes nothing that is read.

Not modelled: a disk that loses what it said to have synced (the test uses that to see itself fail),
and damage to what is durable, which test_damage.c tries.
"""
import dataclasses
import pathlib
import struct

START, OPEN, WRITE, TRUNCATE, SYNC_BEGIN, SYNC_END, RENAME, UNLINK, MKDIR, SEND = range(1, 11)
LINE = struct.Struct("<IIQII")
# What is written over is lost or kept in the sectors of the disk; what is added, in the pages of the
# kernel: a file grows in the journal only when a page of it has been written.
SECTOR_BYTES = 512
PAGE_BYTES = 4096
# How the unsynced part of one file fares.
FATES = ("kept", "lost", "cut", "scattered")


@dataclasses.dataclass
class Line:
    kind: int
    handle: int
    number: int
    path: str
    data: bytes


def read_record(path):
    """The lines of a record. A process that was killed may have left half a line at the end."""
    raw = pathlib.Path(path).read_bytes()
    lines, at = [], 0
    while at + LINE.size <= len(raw):
        kind, handle, number, path_bytes, data_bytes = LINE.unpack_from(raw, at)
        at += LINE.size
        if at + path_bytes + data_bytes > len(raw):
            break
        name = raw[at:at + path_bytes].decode()
        data = raw[at + path_bytes:at + path_bytes + data_bytes]
        at += path_bytes + data_bytes
        lines.append(Line(kind, handle, number, name, data))
    return lines


class File:
    """One file, whatever its name is now."""

    def __init__(self, durable=b""):
        self.durable = bytearray(durable)
        self.pending = []  # (offset, data), or (length, None) for a truncation
        self.n_durable = 0  # changes so far that are durable

    def n_changes(self):
        return self.n_durable + len(self.pending)

    def synced(self, n_changes):
        """The first `n_changes` of all are durable now."""
        while self.n_durable < n_changes:
            apply(self.durable, self.pending.pop(0))
            self.n_durable += 1

    def after(self, fate, chooser):
        """The bytes that a power cut leaves."""
        content = bytearray(self.durable)
        pending = self.pending
        if fate == "lost" or not pending:
            return content
        if fate == "scattered":
            return scatter(content, pending, chooser)
        if fate == "cut":
            pending = pending[:chooser.randint(1, len(pending))]
            offset, data = pending[-1]
            if data:
                pending[-1] = (offset, data[:chooser.randrange(len(data))])
        for change in pending:
            apply(content, change)
        return content


def apply(content, change):
    offset, data = change
    if data is None:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    content.extend(bytes(max(0, offset - len(content))))
    content[offset:offset + len(data)] = data


def scatter(content, pending, chooser):
    """Any subset of the blocks that the pending writes touch."""
    kept = chooser.choice((0.2, 0.5, 0.8))
    old_length = len(content)
    fates = {}
    whole = bytearray(content)
    for offset, data in pending:
        apply(whole, (offset, data))
        if data is None:
            if chooser.random() < kept:
                apply(content, (offset, data))
            continue
        at = offset
        while at < offset + len(data):
            block = SECTOR_BYTES if at < old_length else PAGE_BYTES
            number = at // block
            end = min(offset + len(data), (number + 1) * block)
            if at < old_length:
                end = min(end, old_length)
            if fates.setdefault((block, number), chooser.random() < kept):
                apply(content, (at, data[at - offset:end - offset]))
            at = end
    if chooser.random() < 0.5:
        content.extend(bytes(max(0, len(whole) - len(content))))
    return content


class Disk:
    """A directory after some lines of a record. `base`: what it was before, all of it durable.
    `lies_about`: a sync of a file whose name ends so makes nothing durable."""

    def __init__(self, base=None, lies_about=None):
        self.lies_about = lies_about
        self.names = {"": None}  # path -> File, or None for a directory: as the process sees it
        self.name_changes = []  # not durable: (number, directory, function of the names)
        self.n_name_changes = 0
        self.handles = {}  # handle -> (path, File or None)
        self.syncing = {}  # number of the sync -> how many changes had been made when it began
        if base is not None:
            for path in sorted(base.rglob("*")):
                self.names[str(path.relative_to(base))] = (
                    None if path.is_dir() else File(path.read_bytes()))
        self.durable_names = dict(self.names)

    def change_names(self, path, change):
        change(self.names)
        self.name_changes.append((self.n_name_changes, directory_of(path), change))
        self.n_name_changes += 1

    def replay(self, line):
        if line.kind == START:
            self.handles = {}
            self.syncing = {}
        elif line.kind == OPEN:
            self.opened(line)
        elif line.kind == WRITE:
            self.file(line).pending.append((line.number, line.data))
        elif line.kind == TRUNCATE:
            self.file(line).pending.append((line.number, None))
        elif line.kind == SYNC_BEGIN:
            file = self.file(line)
            self.syncing[line.number] = file.n_changes() if file else self.n_name_changes
        elif line.kind == SYNC_END:
            self.synced(line)
        elif line.kind == RENAME:
            self.change_names(line.path, renaming(line.path, line.data.decode()))
        elif line.kind == UNLINK:
            self.change_names(line.path, removing(line.path))
        elif line.kind == MKDIR:
            self.change_names(line.path, making(line.path, None))

    def opened(self, line):
        if line.number:
            self.change_names(line.path, making(line.path, File()))
        if line.path not in self.names:
            raise ValueError(f"{line.path} was opened, and the record does not say who made it")
        self.handles[line.handle] = line.path, self.names[line.path]
        if line.data and self.names[line.path] is not None:
            self.names[line.path].pending.append((0, None))

    def file(self, line):
        return self.handles[line.handle][1]

    def synced(self, line):
        path, file = self.handles[line.handle]
        n = self.syncing.pop(line.number)
        if file is None:
            for number, directory, change in self.name_changes:
                if number < n and directory == path:
                    change(self.durable_names)
            self.name_changes = [each for each in self.name_changes
                                 if each[0] >= n or each[1] != path]
        elif not (self.lies_about and path.endswith(self.lies_about)):
            file.synced(n)

    def leave(self, target, chooser, fate=None):
        """Writes one state that a power cut now could leave; says in words which. `fate`: of all
        files and names; None: each has its own."""
        n_names = len(self.name_changes)
        n = {"kept": n_names, "lost": 0}.get(fate, chooser.randint(0, n_names))
        names = dict(self.durable_names)
        for _, _, change in self.name_changes[:n]:
            change(names)
        said = [f"{n} of {n_names} changes of names"] if n_names else []
        target.mkdir()
        for path, file in sorted(names.items()):
            if path and file is None:
                (target / path).mkdir(parents=True, exist_ok=True)
            elif file is not None and directory_of(path) in names:
                own = fate or chooser.choice(FATES)
                (target / path).parent.mkdir(parents=True, exist_ok=True)
                content = file.after(own, chooser)
                (target / path).write_bytes(content)
                if file.pending:
                    said.append(f"{path}: {own}, {len(content)} bytes")
        return "; ".join(said) or "nothing was unsynced"


def directory_of(path):
    return path.rpartition("/")[0]


def making(path, file):
    return lambda names: names.__setitem__(path, file)


def removing(path):
    return lambda names: names.pop(path, None)


def renaming(source, target):
    def change(names):
        if source in names:
            names[target] = names.pop(source)
    return change
