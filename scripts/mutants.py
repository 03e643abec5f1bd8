"""The list of mutants of a C file: each a small mistake that a programmer could make.

Works on tokens of text that clang-format has laid out: a binary operator has space on both sides, a
unary one has none behind it. Left alone are comments, strings, declarations of types and functions,
assertions (they are checks themselves), and what is logged.
"""
import dataclasses
import pathlib
import re

TOKEN = re.compile(
    r"(?P<space>\s+|//[^\n]*|/\*.*?\*/)"
    r"|(?P<directive>\#(?:[^\n\\]|\\.)*)"
    r'|(?P<string>"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\')'
    r"|(?P<number>0[xX][0-9a-fA-F]+[uUlL]*|[0-9]+[uUlL]*)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>->|\+\+|--|<<=|>>=|\.\.\.|[-+*/%&|^<>=!]=|<<|>>|&&|\|\||.)", re.S)

BOUNDARY = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
LOGIC = {"&&": "||", "||": "&&"}
ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*", "%": "/", "<<": ">>", ">>": "<<", "&": "|",
              "|": "&", "^": "&", "+=": "-=", "-=": "+=", "*=": "/=", "/=": "*=", "|=": "&=",
              "&=": "|=", "^=": "|=", "<<=": ">>=", ">>=": "<<="}
STEP = {"++": "--", "--": "++"}
TRUTH = {"true": "false", "false": "true"}
TYPES = {"struct", "enum", "union", "const", "static", "unsigned", "signed", "int", "char", "bool",
         "void", "long", "short", "double", "float", "_Atomic", "typedef", "inline"}
KEYWORDS = {"if", "else", "for", "while", "do", "switch", "case", "default", "return", "goto",
            "break", "continue", "sizeof"}
# Calls of which nothing inside is mutated, and which are not removed.
LEFT_ALONE = {"base_assert", "static_assert", "_Static_assert", "base_log"}


@dataclasses.dataclass
class Token:
    kind: str
    text: str
    start: int
    end: int
    space_before: bool = False
    space_after: bool = False


@dataclasses.dataclass(frozen=True)
class Mutant:
    path: str       # below the project's root
    start: int
    end: int
    replacement: str
    operator: str
    line: int
    identity: str   # file:line:operator, and a number where a line has several

    def apply(self, text: str) -> str:
        return text[:self.start] + self.replacement + text[self.end:]

    def lines(self, text: str) -> tuple[str, str]:
        """What the mutation changes, before and after, as whole lines in one."""
        begin = text.rfind("\n", 0, self.start) + 1
        end = text.find("\n", self.end)
        after = text[begin:self.start] + self.replacement + text[self.end:end]
        return " ".join(text[begin:end].split()), " ".join(after.split())


def tokens_of(text: str) -> list[Token]:
    tokens, space = [], True
    for match in TOKEN.finditer(text):
        if match.lastgroup == "space":
            space = True
            if tokens:
                tokens[-1].space_after = True
            continue
        tokens.append(Token(match.lastgroup, match[0], match.start(), match.end(), space))
        space = False
    return tokens


def enum_neighbours(sources: pathlib.Path) -> dict[str, str]:
    """Every constant of an enum with the one that follows it; the last with the first."""
    neighbours = {}
    for path in sorted(sources.rglob("*.[ch]")):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
        for body in re.findall(r"\benum(?:\s+\w+)?\s*\{([^}]*)\}", text):
            names = re.findall(r"\b([A-Z]\w*)\b\s*(?:=[^,]*)?(?:,|$)", body.strip())
            names = [name for name in names if not name.endswith(("_COUNT", "_MAX"))]
            if len(names) > 1:
                neighbours.update(zip(names, names[1:] + names[:1]))
    return neighbours


class Reader:
    """Finds where in a file a mistake could be made."""

    def __init__(self, path: str, text: str, neighbours: dict[str, str]):
        self.path, self.text, self.neighbours = path, text, neighbours
        self.tokens = tokens_of(text)
        self.found: list[tuple[int, int, str, str]] = []
        self.partner = self.pairs()
        self.alone = self.left_alone()

    def pairs(self) -> dict[int, int]:
        partner, open_ones = {}, []
        for i, token in enumerate(self.tokens):
            if token.kind == "sign" and token.text in "([{":
                open_ones.append(i)
            elif token.kind == "sign" and token.text in ")]}":
                first = open_ones.pop()
                partner[first], partner[i] = i, first
        return partner

    def is_sign(self, i: int, *texts: str) -> bool:
        return 0 <= i < len(self.tokens) and self.tokens[i].kind == "sign" and \
            self.tokens[i].text in texts

    def left_alone(self) -> set[int]:
        alone: set[int] = set()
        for i, token in enumerate(self.tokens):
            if token.kind == "name" and token.text in LEFT_ALONE and self.is_sign(i + 1, "("):
                alone.update(range(i, self.partner[i + 1] + 1))
            elif token.kind == "name" and token.text == "case":
                while not self.is_sign(i, ":"):
                    alone.add(i)
                    i += 1
        return alone

    def add(self, first: int, last: int, replacement: str, operator: str) -> None:
        if not self.alone.intersection(range(first, last + 1)):
            self.found.append((self.tokens[first].start, self.tokens[last].end, replacement,
                               operator))

    # --- where code is ---

    def read(self) -> list[Mutant]:
        i, since = 0, 0
        while i < len(self.tokens):
            token = self.tokens[i]
            if token.kind == "directive":
                self.define(token)
                since = i + 1
            elif self.is_sign(i, ";"):
                since = i + 1
            elif self.is_sign(i, "{"):
                end = self.partner[i]
                if self.is_sign(i - 1, ")"):
                    self.block(i, end)
                    since = end + 1
                elif any(self.is_sign(at, "=") for at in range(since, i)):
                    self.expressions(i, end)
                i = end
            i += 1
        return self.listed()

    def define(self, token: Token) -> None:
        match = re.match(r"#\s*define\s+\w+\s+(?:U?INT64_C\()?(\d+)\)?\s*(?:/\*.*)?$", token.text)
        if match:
            start = token.start + match.start(1)
            value = int(match[1])
            self.found.append((start, start + len(match[1]), str(value + 1), "constant"))
            if value > 0:
                self.found.append((start, start + len(match[1]), str(value - 1), "constant"))

    def block(self, first: int, last: int) -> None:
        """A block of statements between its braces."""
        self.expressions(first + 1, last)
        i = first + 1
        while i < last:
            i = self.statement(i, last)

    def statement(self, i: int, last: int) -> int:
        token = self.tokens[i]
        if self.is_sign(i, "{"):
            end = self.partner[i]
            at = i + 1
            while at < end:
                at = self.statement(at, end)
            return end + 1
        if token.kind == "name" and token.text in ("if", "while", "for", "switch"):
            closing = self.partner[i + 1]
            if token.text in ("if", "while"):
                condition = self.text[self.tokens[i + 2].start:self.tokens[closing - 1].end]
                self.add(i + 2, closing - 1, f"!({condition})", "negate")
            return self.statement(closing + 1, last) if closing + 1 < last else last
        if token.kind == "name" and token.text in ("else", "do"):
            return i + 1
        if token.kind == "name" and token.text in ("case", "default"):
            while not self.is_sign(i, ":"):
                i += 1
            return i + 1
        if token.kind == "directive" or self.is_sign(i, ";"):
            return i + 1
        end = self.end_of_statement(i)
        self.simple(i, end)
        return end + 1

    def end_of_statement(self, i: int) -> int:
        while not self.is_sign(i, ";"):
            i = self.partner[i] if self.is_sign(i, "(", "[", "{") else i
            i += 1
        return i

    def simple(self, i: int, end: int) -> None:
        first = self.tokens[i]
        if first.text == "return":
            if end == i + 1:
                self.add(i, end, ";", "remove")
            elif self.tokens[i + 1].text not in TRUTH and self.returns_bool(i):
                value = self.text[self.tokens[i + 1].start:self.tokens[end - 1].end]
                self.add(i + 1, end - 1, f"!({value})", "return")
        elif first.text == "continue":
            self.add(i, end, ";", "remove")
            self.add(i, end, "break;", "leave")
        elif first.text == "break":
            self.add(i, end, ";", "remove")
        elif first.text != "goto" and not self.is_declaration(i) and not self.is_void(i):
            self.add(i, end, ";", "remove")

    def is_declaration(self, i: int) -> bool:
        first, second = self.tokens[i], self.tokens[i + 1]
        if first.kind != "name" or first.text in KEYWORDS:
            return False
        return first.text in TYPES or second.kind == "name" or \
            (second.text == "*" and second.space_before and not second.space_after)

    def is_void(self, i: int) -> bool:
        """`(void)unused;`, which does nothing; a call whose result is dropped does something."""
        return self.is_sign(i, "(") and self.tokens[i + 1].text == "void" and \
            self.is_sign(i + 4, ";")

    def returns_bool(self, i: int) -> bool:
        head = self.text.rfind("\n{\n", 0, self.tokens[i].start)
        begin = max(self.text.rfind("\n\n", 0, head), self.text.rfind("\n}", 0, head),
                    self.text.rfind("*/\n", 0, head))
        return re.search(r"\bbool\s+\w+\(", self.text[begin:head]) is not None

    # --- in expressions ---

    def expressions(self, first: int, last: int) -> None:
        for i in range(first, last):
            token = self.tokens[i]
            if token.kind == "number":
                self.number(i)
            elif token.kind == "name":
                other = TRUTH.get(token.text) or self.neighbours.get(token.text)
                if other:
                    self.add(i, i, other, "truth" if token.text in TRUTH else "enum")
            elif self.is_sign(i, "{"):
                self.elements(i)
            elif token.kind == "sign":
                self.sign(i)

    def number(self, i: int) -> None:
        match = re.match(r"(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)$", self.tokens[i].text)
        value = int(match[1], 8 if re.match(r"0\d", match[1]) else 0)
        self.add(i, i, f"{value + 1}{match[2]}", "constant")
        if value > 0:
            self.add(i, i, f"{value - 1}{match[2]}", "constant")

    def sign(self, i: int) -> None:
        token = self.tokens[i]
        binary = token.space_before and token.space_after
        if binary and token.text in BOUNDARY:
            self.add(i, i, BOUNDARY[token.text], "boundary")
        elif binary and token.text in LOGIC:
            self.add(i, i, LOGIC[token.text], "logic")
        elif binary and token.text in ARITHMETIC:
            self.add(i, i, ARITHMETIC[token.text], "arithmetic")
        elif binary and token.text == "?":
            self.add(i, i, "== 0 ?", "choice")
        elif token.text in STEP:
            self.add(i, i, STEP[token.text], "step")
        elif token.text == "!":
            self.add(i, i, "", "not")
        elif token.text == "-" and not token.space_after and not binary:
            self.add(i, i, "", "minus")
        elif token.text == "." and self.is_sign(i - 1, "{", ","):
            self.field(i)

    def field(self, i: int) -> None:
        """`.name = value` in an initializer: without it, it is zero."""
        end = i
        while not self.is_sign(end, ",", "}"):
            end = self.partner[end] if self.is_sign(end, "(", "[", "{") else end
            end += 1
        if self.is_sign(i - 1, ","):
            self.add(i - 1, end - 1, "", "field")
        else:
            self.add(i, end - 1, "0", "field") if self.is_sign(end, "}") else \
                self.add(i, end, "", "field")

    def elements(self, first: int) -> None:
        """A list of names, such as a row of functions: each one is left out."""
        inside = self.tokens[first + 1:self.partner[first]]
        if len(inside) > 1 and all(token.kind == "name" for token in inside[::2]) and \
                all(token.text == "," for token in inside[1::2]):
            for i in range(first + 1, self.partner[first] - 1, 2):
                self.add(i, i + 1, "", "element")
            self.add(self.partner[first] - 2, self.partner[first] - 1, "", "element")

    def listed(self) -> list[Mutant]:
        mutants, seen = [], {}
        for start, end, replacement, operator in sorted(self.found):
            line = self.text.count("\n", 0, start) + 1
            key = f"{self.path}:{line}:{operator}"
            seen[key] = seen.get(key, 0) + 1
            identity = key if seen[key] == 1 else f"{key}.{seen[key]}"
            mutants.append(Mutant(self.path, start, end, replacement, operator, line, identity))
        return mutants


def mutants_of(root: pathlib.Path, path: str, neighbours: dict[str, str]) -> list[Mutant]:
    return Reader(path, (root / path).read_text(), neighbours).read()
