"""The statements that make a schema, as far as the fake understands them: CREATE TABLE with types,
NOT NULL, CHECK, PRIMARY KEY and INTERLEAVE IN PARENT, and CREATE [UNIQUE] INDEX with STORING. What
it does not understand is an error.
"""
import operator
import re


class SchemaError(Exception):
    pass


TOKEN = re.compile(r"""\s*(`[^`]+`|[rR]?'[^']*'|[A-Za-z_][A-Za-z0-9_]*|\d+|>=|<=|<>|!=|[(),<>=.+*-])""")


def tokens_of(statement):
    tokens, at = [], 0
    statement = re.sub(r"(?m)^\s*--.*$", "", statement).rstrip().rstrip(";").rstrip()
    while at < len(statement):
        match = TOKEN.match(statement, at)
        if not match:
            raise SchemaError(f"not understood: {statement[at:at + 40]!r}")
        tokens.append(match[1].strip("`") if match[1].startswith("`") else match[1])
        at = match.end()
    return tokens


class Column:
    def __init__(self, name, kind, length, is_array, not_null):
        self.name = name
        self.kind = kind  # INT64, STRING, BYTES, BOOL, TIMESTAMP
        self.length = length  # None: MAX, or a kind without one
        self.is_array = is_array
        self.not_null = not_null


class Table:
    def __init__(self, name):
        self.name = name
        self.columns = {}
        self.key = []  # (column's name, descending)
        self.checks = []  # (text, function of a row)
        self.parent = None
        self.indexes = {}

    def key_of(self, row):
        return tuple(row[name] for name, _ in self.key)


class Index:
    def __init__(self, name, table, key, unique, storing):
        self.name = name
        self.table = table
        own = {part for part, _ in key}
        self.n_own = len(key)
        self.key = key + [part for part in table.key if part[0] not in own]
        self.unique = unique
        self.columns = {part for part, _ in self.key} | set(storing)


class Parser:
    """One statement, taken token by token."""

    def __init__(self, statement):
        self.statement = statement
        self.tokens = tokens_of(statement)
        self.at = 0

    def peek(self, *words):
        found = [token.upper() for token in self.tokens[self.at:self.at + len(words)]]
        return found == list(words)

    def take(self, *words):
        if self.peek(*words):
            self.at += len(words)
            return True
        return False

    def expect(self, *words):
        if not self.take(*words):
            found = " ".join(self.tokens[self.at:self.at + 3])
            raise SchemaError(f"{' '.join(words)} expected at {found!r} of {self.statement[:60]!r}")

    def word(self):
        self.at += 1
        if self.at > len(self.tokens):
            raise SchemaError(f"ends too soon: {self.statement[:60]!r}")
        return self.tokens[self.at - 1]

    def done(self):
        if self.at != len(self.tokens):
            raise SchemaError(f"not understood: {' '.join(self.tokens[self.at:])!r}")

    def key_parts(self):
        parts = []
        self.expect("(")
        while not self.take(")"):
            name = self.word()
            parts.append((name, self.take("DESC") or (self.take("ASC") and False)))
            self.take(",")
        return parts

    def names(self):
        names = []
        self.expect("(")
        while not self.take(")"):
            names.append(self.word())
            self.take(",")
        return names

    def column(self):
        name = self.word()
        is_array = self.take("ARRAY", "<")
        kind = self.word().upper()
        if kind not in ("INT64", "STRING", "BYTES", "BOOL", "TIMESTAMP"):
            raise SchemaError(f"a type that the fake does not know: {kind}")
        length = None
        if kind in ("STRING", "BYTES"):
            self.expect("(")
            length = self.word().upper()
            length = None if length == "MAX" else int(length)
            self.expect(")")
        if is_array:
            self.expect(">")
        not_null = self.take("NOT", "NULL")
        if self.take("OPTIONS"):
            self.expect("(")
            self.expect("ALLOW_COMMIT_TIMESTAMP", "=", "TRUE", ")")
        return Column(name, kind, length, is_array, not_null)

    def check(self, columns):
        """A condition on a row: its text, and a function that says whether a row keeps it."""
        self.expect("(")
        begins = self.at
        condition = Conditions(self, columns).either()
        text = " ".join(self.tokens[begins:self.at])
        self.expect(")")
        return text, lambda row: condition(row) is not False  # NULL is no violation


FUNCTIONS = {
    "ARRAY_LENGTH": len,
    "ARRAY_MIN": lambda values: min(values, default=None),
    "ARRAY_MAX": lambda values: max(values, default=None),
    "REGEXP_CONTAINS": lambda text, pattern: re.search(pattern, text) is not None,
}
COMPARISONS = {"=": operator.eq, "<>": operator.ne, "!=": operator.ne, "<": operator.lt,
               "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def unless_null(function, *operands):
    def evaluate(row):
        values = [operand(row) for operand in operands]
        return None if any(value is None for value in values) else function(*values)
    return evaluate


class Conditions:
    """Conditions of SQL, each as a function of a row. Three-valued: None is NULL."""

    def __init__(self, parser, columns):
        self.parser = parser
        self.columns = columns

    def either(self):
        condition = self.both()
        while self.parser.take("OR"):
            left, right = condition, self.both()
            condition = lambda row, left=left, right=right: any_of(left(row), right(row))
        return condition

    def both(self):
        condition = self.comparison()
        while self.parser.take("AND"):
            left, right = condition, self.comparison()
            condition = lambda row, left=left, right=right: all_of(left(row), right(row))
        return condition

    def comparison(self):
        left = self.operand()
        if self.parser.take("BETWEEN"):
            low = self.operand()
            self.parser.expect("AND")
            return unless_null(lambda value, low, high: low <= value <= high, left, low,
                               self.operand())
        for sign, compare in COMPARISONS.items():
            if self.parser.take(sign):
                return unless_null(compare, left, self.operand())
        return left

    def operand(self):
        if self.parser.take("("):
            condition = self.either()
            self.parser.expect(")")
            return condition
        word = self.parser.word()
        if word.upper() in FUNCTIONS:
            self.parser.expect("(")
            arguments = [self.operand()]
            while self.parser.take(","):
                arguments.append(self.operand())
            self.parser.expect(")")
            return unless_null(FUNCTIONS[word.upper()], *arguments)
        if word in self.columns:
            return lambda row: row[word]
        if word.isdigit():
            return lambda row: int(word)
        if word.lower().startswith(("'", "r'")):
            return lambda row: word[word.index("'") + 1:-1]
        raise SchemaError(f"a condition that the fake does not understand, at {word!r}")


def any_of(*values):
    return True if True in values else None if None in values else False


def all_of(*values):
    return False if False in values else None if None in values else True


def create_table(parser, tables):
    exists_ok = parser.take("IF", "NOT", "EXISTS")
    table = Table(parser.word())
    if table.name in tables and not exists_ok:
        raise SchemaError(f"Duplicate name in schema: {table.name}")
    parser.expect("(")
    while not parser.take(")"):
        if parser.take("CONSTRAINT"):
            parser.word()
        if parser.take("CHECK"):
            table.checks.append(parser.check(table.columns))
        else:
            column = parser.column()
            table.columns[column.name] = column
        parser.take(",")
    parser.expect("PRIMARY", "KEY")
    table.key = parser.key_parts()
    while parser.take(","):
        parser.expect("INTERLEAVE", "IN", "PARENT")
        table.parent = tables[parser.word()]
        if parser.take("ON", "DELETE"):
            parser.expect("NO", "ACTION")
    parser.done()
    for name, _ in table.key:
        if name not in table.columns:
            raise SchemaError(f"the key names no column: {name}")
    tables.setdefault(table.name, table)


def create_index(parser, tables, unique):
    exists_ok = parser.take("IF", "NOT", "EXISTS")
    name = parser.word()
    parser.expect("ON")
    table = tables[parser.word()]
    key = parser.key_parts()
    storing = parser.names() if parser.take("STORING") else []
    parser.done()
    if name in table.indexes:
        if exists_ok:
            return
        raise SchemaError(f"Duplicate name in schema: {name}")
    table.indexes[name] = Index(name, table, key, unique, storing)


def apply_statement(statement, tables):
    """Adds what the statement makes to `tables`, by name. Views, which are for people and not for
    the API's reads, are taken as they are."""
    if re.match(r"(?s)(\s*--[^\n]*\n)*\s*CREATE OR REPLACE VIEW\s", statement):
        return
    parser = Parser(statement)
    parser.expect("CREATE")
    if parser.take("TABLE"):
        create_table(parser, tables)
    elif parser.take("UNIQUE", "INDEX"):
        create_index(parser, tables, True)
    else:
        parser.expect("INDEX")
        create_index(parser, tables, False)
