"""A database: its schema, its rows, and the transactions that read and change them.

A transaction that writes keeps no locks but remembers what it has read. When any of that has been
changed by another's commit it is aborted, at its next call, as a wounded one is. So who commits
first wins, and what a transaction has read may be untrue before it knows; only its commit says.
"""
import time

from rows import COMMIT_TIME, Refused, TableRows, read_value, sort_key
from schema import SchemaError, apply_statement

MUTATIONS_MAX = 80000
REMEMBERED_COMMITS_MAX = 100000


class Transaction:
    def __init__(self, number, session, writes, now_us, moment_us=None):
        self.id = b"transaction-%d" % number
        self.session = session
        self.writes = writes
        self.moment_us = moment_us  # of one that only reads
        self.state = "open"  # then committed, aborted or ended
        self.reads = []  # functions: whether a change (table, key) concerns this transaction
        self.valid_us = now_us  # what it has read was true until then
        self.commit_us = None
        self.seq_num = 0  # of the last precommit token
        self.told_seq_num = 0  # the highest of those that have surely arrived
        self.has_read = False
        self.not_before = 0  # aborted: when the next attempt may begin (monotonic seconds)
        self.pending = None  # mutations of a commit that was answered with a token


class Database:
    def __init__(self, name):
        self.name = name
        self.statements = []
        self.tables = {}
        self.rows = {}
        self.transactions = {}
        self.changes = []  # (time, table, key), the newest last
        self.n_transactions = 0
        self.last_us = 0

    # --- schema ---

    def apply(self, statements):
        for statement in statements:
            try:
                apply_statement(statement, self.tables)
            except (SchemaError, KeyError) as error:
                raise Refused("INVALID_ARGUMENT", f"{error}") from None
            self.statements.append(statement)
            for name, table in self.tables.items():
                self.rows.setdefault(name, TableRows(table))

    def table(self, name):
        if name not in self.tables:
            raise Refused("NOT_FOUND", f"Table not found: {name}")
        return self.tables[name], self.rows[name]

    def spoil(self, table, column, value):
        """What no client could write: the keys and indexes stay where they were."""
        for versions in self.table(table)[1].versions.values():
            versions.append((self.now_us(), versions[-1][1] | {column: value}))

    # --- time ---

    def now_us(self):
        """The present moment, later than any that was told before."""
        self.last_us = max(time.time_ns() // 1000, self.last_us + 1)
        return self.last_us

    # --- transactions ---

    def begin(self, session, writes, moment_us=None):
        self.n_transactions += 1
        transaction = Transaction(self.n_transactions, session, writes, self.now_us(), moment_us)
        self.transactions[transaction.id] = transaction
        return transaction

    def find(self, transaction_id, session):
        transaction = self.transactions.get(bytes(transaction_id))
        if transaction is None or transaction.session != session:
            raise Refused("NOT_FOUND", f"Transaction not found: {transaction_id!r}")
        return transaction

    def use(self, transaction):
        """Before each call of a transaction that writes: what it has read must still be true."""
        if transaction.state == "ended":
            raise Refused("FAILED_PRECONDITION", "The transaction has been rolled back")
        if transaction.state == "open":
            for time_us, table, key in reversed(self.changes):
                if time_us <= transaction.valid_us:
                    break
                if any(concerns(table, key) for concerns in transaction.reads):
                    transaction.state = "aborted"
                    break
        if transaction.state == "aborted":
            raise Refused("ABORTED", "Transaction was wounded by another's commit")
        transaction.valid_us = self.last_us

    # --- reads ---

    def read(self, request, transaction, moment_us):
        """The columns and the rows that the request asks for, as of the moment; a transaction that
        writes remembers them."""
        table, rows = self.table(request.table)
        index = None
        if request.index:
            index = table.indexes.get(request.index)
            if index is None:
                raise Refused("NOT_FOUND", f"Index not found: {request.index}")
        columns = []
        for name in request.columns:
            if name not in table.columns or (index and name not in index.columns):
                raise Refused("NOT_FOUND", f"Column not found: {name}")
            columns.append(table.columns[name])
        key = index.key if index else table.key
        order = rows.index_order(index) if index else rows.order
        found = []
        seen = set()

        def take(row_key, order_values):
            row = rows.at(row_key, moment_us)
            if row is None or row_key in seen:
                return
            if index and tuple(row[name] for name, _ in index.key) != order_values:
                return  # the index had this key at another time
            seen.add(row_key)
            found.append((row_key, [row[column.name] for column in columns]))

        def values_of(parts):
            if len(parts.values) > len(key):
                raise Refused("INVALID_ARGUMENT", "A key has more parts than the table's")
            return tuple(read_value(part, table.columns[name])
                         for part, (name, _) in zip(parts.values, key))

        point_keys, spans = set(), []
        for parts in request.key_set.keys:
            values = values_of(parts)
            if not index:
                if len(values) != len(key):
                    raise Refused("INVALID_ARGUMENT", "A key lacks parts")
                point_keys.add(values)
            else:
                spans.append((values, False, values, False))
        for span in request.key_set.ranges:
            start = span.start_closed if span.HasField("start_closed") else span.start_open
            end = span.end_closed if span.HasField("end_closed") else span.end_open
            spans.append((values_of(start), span.HasField("start_open"),
                          values_of(end), span.HasField("end_open")))
        if request.key_set.all:
            spans.append(((), False, (), False))
        for row_key in point_keys:
            take(row_key, row_key)
        for span in spans:
            for at in order.bounds(*span):
                take(order.row_keys[at], tuple(part.value[1] if part.value[0] else None
                                               for part in order.entries[at]))
        place = {row_key: at for at, row_key in enumerate(order.row_keys)} if found and index else None
        if not index:
            found.sort(key=lambda entry: sort_key(entry[0], key))
        else:
            found.sort(key=lambda entry: place[entry[0]])
        if request.limit:
            found = found[:request.limit]
        if transaction is not None and transaction.writes:
            # Ranges and indexes are taken widely: any change of their table is one of theirs.
            name, wide = table.name, bool(spans)
            transaction.reads.append(
                lambda changed, row_key: changed == name and (wide or row_key in point_keys))
            transaction.has_read = True
        return columns, [values for _, values in found]

    # --- writes ---

    def commit(self, transaction, mutations):
        """All of them or, by a Refused, none. The time of the commit."""
        commit_us = self.now_us()
        fresh = {}  # (table, key): row, as this commit leaves it
        n_cells = 0
        for mutation in mutations:
            operation = mutation.WhichOneof("operation")
            write = getattr(mutation, operation)
            table, rows = self.table(write.table)
            for values in write.values:
                n_cells += len(write.columns)
                self._write_row(table, rows, operation, list(write.columns), values, fresh, commit_us)
        if n_cells > MUTATIONS_MAX:
            raise Refused("INVALID_ARGUMENT", "The transaction contains too many mutations")
        for (name, row_key), row in fresh.items():
            self.rows[name].put(row_key, row, commit_us)
            self.changes.append((commit_us, name, row_key))
        del self.changes[:-REMEMBERED_COMMITS_MAX]
        transaction.state = "committed"
        transaction.commit_us = commit_us
        return commit_us

    def _write_row(self, table, rows, operation, names, values, fresh, commit_us):
        if len(values.values) != len(names):
            raise Refused("INVALID_ARGUMENT", "A row has not as many values as columns")
        given = {}
        for name, value in zip(names, values.values):
            if name not in table.columns:
                raise Refused("NOT_FOUND", f"Column not found in table {table.name}: {name}")
            found = read_value(value, table.columns[name])
            given[name] = commit_us if found is COMMIT_TIME else found
        for name, _ in table.key:
            given.setdefault(name, None)
        row_key = table.key_of(given)
        there = fresh.get((table.name, row_key), rows.latest(row_key))
        if operation == "insert":
            if there is not None:
                raise Refused("ALREADY_EXISTS", f"Row {list(row_key)} in table {table.name} already exists")
            row = dict.fromkeys(table.columns) | given
        else:
            if there is None:
                raise Refused("NOT_FOUND", f"Row {list(row_key)} in table {table.name} is missing. "
                              "Row cannot be updated.")
            row = there | given
        self._check_row(table, row, row_key, fresh)
        fresh[table.name, row_key] = row

    def _check_row(self, table, row, row_key, fresh):
        for column in table.columns.values():
            if column.not_null and row[column.name] is None:
                raise Refused("FAILED_PRECONDITION",
                              f"{column.name} must not be NULL in table {table.name}.")
        for text, condition in table.checks:
            if not condition(row):
                raise Refused("OUT_OF_RANGE", f"Check constraint `{table.name}`.({text}) is violated "
                              f"for key {list(row_key)}")
        if table.parent is not None:
            parent_key = row_key[:len(table.parent.key)]
            if (table.parent.name, parent_key) not in fresh and \
                    self.rows[table.parent.name].latest(parent_key) is None:
                raise Refused("NOT_FOUND", f"Parent row for row {list(row_key)} in table {table.name} "
                              "is missing. Row cannot be written.")
        for index in table.indexes.values():
            if index.unique:
                self._check_unique(table, index, row, row_key, fresh)

    def _check_unique(self, table, index, row, row_key, fresh):
        rows = self.rows[table.name]
        wanted = tuple(row[name] for name, _ in index.key[:index.n_own])
        order = rows.index_order(index)
        others = {order.row_keys[at] for at in order.bounds(wanted, False, wanted, False)}
        others |= {key for name, key in fresh if name == table.name}
        for other in others - {row_key}:
            found = fresh.get((table.name, other), rows.latest(other))
            if tuple(found[name] for name, _ in index.key[:index.n_own]) == wanted:
                raise Refused("ALREADY_EXISTS",
                              f"Unique index violation on index {index.name} at index key {list(wanted)}.")
