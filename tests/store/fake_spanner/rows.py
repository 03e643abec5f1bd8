"""Rows in memory, with every version of each: what was committed when. Nothing is ever removed."""
import base64
import binascii
import bisect
import datetime
import re

COMMIT_TIME = object()  # stands in a row until the commit has its time

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z")


class Refused(Exception):
    """A call that fails: a status by its name, and what is said."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status
        self.message = message


def print_time(time_us):
    time = EPOCH + datetime.timedelta(microseconds=time_us)
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def parse_time(text):
    match = TIME.fullmatch(text)
    if not match:
        raise ValueError(text)
    time = datetime.datetime.fromisoformat(match[1] + "+00:00")
    return (time - EPOCH) // datetime.timedelta(microseconds=1) + int((match[2] or "0").ljust(9, "0")[:6])


# --- values as the API has them ---

def read_scalar(value, column):
    kind = value.WhichOneof("kind")
    if kind == "null_value":
        return None
    if column.kind == "BOOL" and kind == "bool_value":
        return value.bool_value
    if kind == "string_value":
        text = value.string_value
        try:
            if column.kind == "INT64" and re.fullmatch(r"-?(0|[1-9]\d*)", text):
                number = int(text)
                if -2**63 <= number < 2**63:
                    return number
            if column.kind == "STRING":
                if column.length is not None and len(text) > column.length:
                    raise Refused("FAILED_PRECONDITION", f"New value exceeds the maximum size limit "
                                  f"for this column: {column.name}, size: {len(text)}")
                return text
            if column.kind == "BYTES":
                data = base64.b64decode(text, validate=True)
                if column.length is not None and len(data) > column.length:
                    raise Refused("FAILED_PRECONDITION", f"New value exceeds the maximum size limit "
                                  f"for this column: {column.name}, size: {len(data)}")
                return data
            if column.kind == "TIMESTAMP":
                return COMMIT_TIME if text == "spanner.commit_timestamp()" else parse_time(text)
        except (ValueError, binascii.Error):
            pass
    raise Refused("FAILED_PRECONDITION",
                  f"Could not parse {kind} as {column.kind} for column {column.name}")


def read_value(value, column):
    if column.is_array and value.WhichOneof("kind") == "list_value":
        return tuple(read_scalar(element, column) for element in value.list_value.values)
    return read_scalar(value, column)


def fill_scalar(value, column, found):
    if found is None:
        value.null_value = 0
    elif isinstance(found, str):
        value.string_value = found
    elif column.kind == "BOOL":
        value.bool_value = found
    elif column.kind == "INT64":
        value.string_value = str(found)
    elif column.kind == "BYTES":
        value.string_value = base64.b64encode(found).decode()
    else:
        value.string_value = print_time(found)


def fill_value(value, column, found):
    if column.is_array and found is not None:
        value.list_value.SetInParent()
        for element in found:
            fill_scalar(value.list_value.values.add(), column, element)
    else:
        fill_scalar(value, column, found)


# --- keys in their order ---

class Part:
    """A part of a key, where NULL comes first; one that descends comes in the other order."""
    __slots__ = ("value", "descends")

    def __init__(self, value, descends):
        self.value = (value is not None, 0 if value is None else value)
        self.descends = descends

    def __lt__(self, other):
        if other is LAST:
            return True
        return other.value < self.value if self.descends else self.value < other.value

    def __eq__(self, other):
        return other is not LAST and self.value == other.value

    def __hash__(self):
        return hash(self.value)


class Last:
    def __lt__(self, other):
        return False

    def __gt__(self, other):
        return other is not self


LAST = Last()  # behind every part


def sort_key(values, key):
    return tuple(Part(value, descends) for value, (_, descends) in zip(values, key))


class Ordered:
    """The keys of a table or an index in order, each with the key of its row."""

    def __init__(self, key):
        self.key = key
        self.entries = []  # (sort key, row's key), as two lists for bisect
        self.row_keys = []
        self.known = set()

    def add(self, values, row_key):
        if (values, row_key) not in self.known:
            self.known.add((values, row_key))
            order = sort_key(values, self.key)
            at = bisect.bisect_right(self.entries, order)
            self.entries.insert(at, order)
            self.row_keys.insert(at, row_key)

    def bounds(self, start, start_open, end, end_open):
        """Which are between the two, which may be prefixes; as a range of positions."""
        low = sort_key(start, self.key)
        high = sort_key(end, self.key)
        first = bisect.bisect_right(self.entries, low + (LAST,)) if start_open \
            else bisect.bisect_left(self.entries, low)
        last = bisect.bisect_left(self.entries, high) if end_open \
            else bisect.bisect_right(self.entries, high + (LAST,))
        return range(first, max(first, last))


class TableRows:
    def __init__(self, table):
        self.table = table
        self.versions = {}  # row's key: [(time in µs, row)]
        self.order = Ordered(table.key)
        self.index_orders = {}

    def index_order(self, index):
        order = self.index_orders.get(index.name)
        if order is None:
            order = self.index_orders[index.name] = Ordered(index.key)
            for row_key, versions in self.versions.items():
                for _, row in versions:
                    order.add(tuple(row[name] for name, _ in index.key), row_key)
        return order

    def at(self, row_key, time_us):
        """The row as it was then, or None."""
        for committed_us, row in reversed(self.versions.get(row_key, ())):
            if committed_us <= time_us:
                return row
        return None

    def latest(self, row_key):
        versions = self.versions.get(row_key)
        return versions[-1][1] if versions else None

    def put(self, row_key, row, time_us):
        self.versions.setdefault(row_key, []).append((time_us, row))
        self.order.add(row_key, row_key)
        for index in self.table.indexes.values():
            if index.name in self.index_orders:
                self.index_orders[index.name].add(tuple(row[name] for name, _ in index.key), row_key)
