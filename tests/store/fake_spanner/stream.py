"""The messages of a StreamingRead: values cut anywhere, parts of values, resume tokens."""
from rows import fill_value


def split_value(value, random):
    """Two parts of a value, as Spanner cuts strings and lists; None: it is not to be cut."""
    kind = value.WhichOneof("kind")
    first, second = type(value)(), type(value)()
    if kind == "string_value" and len(value.string_value) > 1:
        at = random.randrange(1, len(value.string_value))
        first.string_value = value.string_value[:at]
        second.string_value = value.string_value[at:]
        return first, second
    if kind == "list_value" and value.list_value.values:
        # The two elements that meet are joined again: so an element is cut, and none is left whole.
        elements = value.list_value.values
        at = random.randrange(len(elements))
        parts = split_value(elements[at], random)
        if parts is None:
            return None
        first.list_value.values.extend([*elements[:at], parts[0]])
        second.list_value.values.extend([parts[1], *elements[at + 1:]])
        return first, second
    return None


def messages_of(columns, rows, types, random):
    """PartialResultSets with all the values, without metadata."""
    values = []
    for row in rows:
        for column, found in zip(columns, row):
            value = types.Value()
            fill_value(value, column, found)
            values.append(value)
    largest = max(3, len(values) // 4)
    messages, at = [], 0
    carried = None
    while at < len(values) or carried is not None:
        message = types.PartialResultSet()
        n = random.randint(1, min(largest, 4000))
        if carried is not None:
            message.values.append(carried)
            carried = None
        message.values.extend(values[at:at + n])
        at += n
        parts = split_value(message.values[-1], random) if random.random() < 0.5 else None
        if parts is not None:
            message.values[-1].CopyFrom(parts[0])
            message.chunked_value = True
            carried = parts[1]
        messages.append(message)
    return messages or [types.PartialResultSet()]


class Streams:
    """What resume tokens stand for. The newest are remembered."""

    MAX = 2000

    def __init__(self):
        self.kept = {}
        self.n = 0

    def open(self, messages, fingerprint, random):
        """Gives some of the messages resume tokens, which lead to what follows them."""
        for at, message in enumerate(messages):
            if random.random() < 0.5:
                self.n += 1
                token = b"resume-%d" % self.n
                message.resume_token = token
                self.kept[token] = (messages, at + 1, fingerprint)
        while len(self.kept) > self.MAX:
            del self.kept[next(iter(self.kept))]

    def resume(self, token, fingerprint):
        """The messages that are left; None: the token is not of such a read."""
        messages, at, made_for = self.kept.get(bytes(token), (None, 0, None))
        return messages[at:] if made_for == fingerprint else None
