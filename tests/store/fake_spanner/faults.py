"""Which call gets which fault: by a script (the next calls of a method) or by seeded rates.

    before every call   unavailable: refused before anything is done
                        session: its session is dropped, and the call says that it is not found
    StreamingRead       aborted, aborted_bare: the transaction is aborted in the middle of the stream,
                        with RetryInfo in the trailer or without
                        cut: the stream ends in its middle with UNAVAILABLE
                        cut_reset: the same with INTERNAL and the words of a reset stream
                        cut_connection: the connection is closed in its middle
                        cut_unauthenticated: it ends in its middle, since the token is refused
    Commit              aborted, aborted_bare: nothing is committed
                        lost: committed, and the answer is UNAVAILABLE
                        lost_reset, lost_unknown: the same with INTERNAL (a reset stream), UNKNOWN
                        lost_connection: committed, and the connection is closed
                        lost_forgotten: as lost, and the transaction is not known from then on
                        unsent, unsent_reset, unsent_unknown, unsent_connection: not committed, and the
                        answer as above
                        token: the answer carries a precommit token and nothing was committed
"""
import random

WITH_TOKENS = ("cut_unauthenticated",)  # where the fake asks for none, none is refused
BEFORE = ("unavailable", "session")
BY_METHOD = {
    "CreateSession": ("unavailable",),
    "BeginTransaction": BEFORE,
    "Rollback": BEFORE,
    "StreamingRead": BEFORE + ("aborted", "aborted_bare", "cut", "cut_reset", "cut_connection",
                                "cut_unauthenticated"),
    "Commit": BEFORE + ("aborted", "aborted_bare", "lost", "lost_reset", "lost_unknown",
                        "lost_connection", "lost_forgotten", "unsent", "unsent_reset",
                        "unsent_unknown", "unsent_connection", "token"),
}


class Faults:
    def __init__(self):
        self.random = random.Random(1)
        self.rates = {}  # (method, fault): share of the method's calls
        self.script = {}  # method: faults of its next calls
        self.counts = {}

    def seed(self, number):
        self.random = random.Random(number)

    def clear(self):
        self.rates.clear()
        self.script.clear()
        self.counts.clear()

    def check(self, method, fault):
        if fault not in BY_METHOD[method] + ("none",):
            raise ValueError(f"no such fault of {method}: {fault}")

    def set_rate(self, method, fault, rate):
        self.check(method, fault)
        self.rates[method, fault] = rate

    def add(self, method, fault, times):
        self.check(method, fault)
        self.script.setdefault(method, []).extend([fault] * times)

    def choose(self, method, applies):
        """The fault of this call, or None; only one of those for which applies(fault) is true."""
        script = self.script.get(method)
        if script and (script[0] == "none" or applies(script[0])):
            fault = script.pop(0)
            if fault == "none":
                return None
        else:
            possible = [fault for fault in BY_METHOD.get(method, ()) if applies(fault)]
            point = self.random.random()
            for fault in possible:
                point -= self.rates.get((method, fault), 0)
                if point < 0:
                    break
            else:
                return None
        name = f"{method} {fault}"
        self.counts[name] = self.counts.get(name, 0) + 1
        return fault
