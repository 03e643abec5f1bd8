"""Callers for the tests of this folder: each sends writes of its own and of others at once, repeats
them, and keeps what was answered. Adds, consumes, fences and Submits, by grpcio.
"""
import random
import threading

from shim import Grpc

ACCOUNTS = 12


class Known:
    """What all callers together asked for, and were told. An id has one content for ever."""

    def __init__(self, seed, prefix="t"):
        self.random = random.Random(seed)
        self.prefix = prefix  # of its ids
        self.lock = threading.Lock()
        self.requests = {}  # transaction id -> (verb, account, amount)
        self.answers = {}  # transaction id -> the record as it was answered; None: as JSON
        self.complaints = []

    def take(self):
        """An id to send: a new one, or one that was sent before, by whomever."""
        with self.lock:
            if self.requests and self.random.random() < 0.3:
                return self.random.choice(list(self.requests))
            transaction_id = f"{self.prefix}{len(self.requests)}"
            self.requests[transaction_id] = (
                self.random.choice(["Add", "Add", "Add", "Consume", "Cancel"]),
                f"account-{self.random.randrange(ACCOUNTS)}", self.random.randint(1, 50))
            return transaction_id

    def with_others(self, other, acknowledged):
        """Both, of the other's answers only those that are named."""
        both = Known(0)
        both.requests = {**self.requests, **other.requests}
        both.answers = {**self.answers, **{key: other.answers[key] for key in acknowledged}}
        return both

    def answered(self, transaction_id, record):
        with self.lock:
            if self.answers.setdefault(transaction_id, record) != record:
                self.complaints.append(f"{transaction_id}: the answer changed")


class Client(Grpc):
    """The requests of `known`, one by one or together."""

    def __init__(self, address, known=None):
        super().__init__(address)
        self.known = known

    def request(self, transaction_id):
        verb, account, amount = self.known.requests[transaction_id]
        request = getattr(self.messages, verb + "Request")(transaction_id=transaction_id)
        if verb != "Cancel":
            request.account_id = account
            request.amounts.add(kind="points", amount=amount)
        return verb, request

    def send(self, transaction_id, timeout=20):
        """(record, replayed), or raises grpc.RpcError."""
        verb, request = self.request(transaction_id)
        return self.call(verb, request, timeout)

    def submit(self, transaction_ids, timeout=20):
        """The results of one Submit, as messages."""
        request = self.messages.SubmitRequest()
        for transaction_id in transaction_ids:
            verb, command = self.request(transaction_id)
            getattr(request.commands.add(), verb.lower()).CopyFrom(command)
        raw, _ = self.call("Submit", request, timeout)
        return self.messages.SubmitResponse.FromString(raw).results


class Caller(threading.Thread):
    """Sends `n` times, or until there is nobody to answer."""

    def __init__(self, address, known, n):
        super().__init__()
        self.address = address
        self.known = known
        self.n = n

    def run(self):
        client = Client(self.address, self.known)
        try:
            for number in range(self.n):
                if not self.send(client, number):
                    return
        finally:
            client.close()

    def send(self, client, number):
        """Whether there was an answer, of whatever kind."""
        codes = client.grpc.StatusCode
        try:
            if number % 4 == 3:
                ids = list(dict.fromkeys(self.known.take() for _ in range(6)))
                for transaction_id, result in zip(ids, client.submit(ids)):
                    if result.HasField("transaction"):
                        self.known.answered(transaction_id, result.transaction.SerializeToString())
            else:
                transaction_id = self.known.take()
                record, _ = client.send(transaction_id)
                self.known.answered(transaction_id, record)
            return True
        except client.grpc.RpcError as error:
            if error.code() in (codes.UNAVAILABLE, codes.DEADLINE_EXCEEDED, codes.CANCELLED):
                return False
            if error.code() != codes.FAILED_PRECONDITION:
                self.known.complaints.append(f"{error.code()} {error.details()}")
            return True


def load(server, known, n_callers=4, n=20, until=None):
    """All callers at once. `until`: called when they run; then whoever has not finished is let
    finish or fail."""
    callers = [Caller(server.address, known, n) for _ in range(n_callers)]
    for caller in callers:
        caller.start()
    if until:
        until(callers)
    for caller in callers:
        caller.join()


def judge(server, known, acknowledged, go_on=True):
    """What is wrong with the store of a stopped server: [] when it is sound, opens, and has every
    acknowledged transaction with the same bytes, once. `server` has no shim."""
    verified = server.verify()
    if verified.returncode != 0:
        return [f"verify: {verified.stdout}{verified.stderr}"]
    try:
        server.start()
    except RuntimeError as error:
        return [str(error)]
    client = Client(server.address, known)
    complaints = []
    try:
        for transaction_id in acknowledged:
            complaints += repeat(client, known, transaction_id)
        if go_on:
            complaints += write_on(client, known, set(known.requests) - set(acknowledged))
    finally:
        client.close()
    if server.stop() != 0:
        complaints.append("the server did not stop well")
    verified = server.verify()
    if verified.returncode != 0:
        complaints.append(f"verify after writing on: {verified.stdout}{verified.stderr}")
    return complaints


def repeat(client, known, transaction_id):
    """An acknowledged transaction is sent again: the same record, and told to be a replay."""
    try:
        record, replayed = client.send(transaction_id)
    except client.grpc.RpcError as error:
        return [f"{transaction_id} was acknowledged, now: {error.code()} {error.details()}"]
    if known.answers[transaction_id] not in (None, record):
        return [f"{transaction_id}: the answer changed"]
    return [] if replayed else [f"{transaction_id} was acknowledged, and was applied again"]


def write_on(client, known, others):
    """What nobody was told of may be sent again, and is answered one way or the other."""
    for transaction_id in sorted(others)[:10]:
        try:
            first, _ = client.send(transaction_id)
            again, replayed = client.send(transaction_id)
            if again != first or not replayed:
                return [f"{transaction_id}: a repeat after the crash is no replay"]
        except client.grpc.RpcError as error:
            if error.code() != client.grpc.StatusCode.FAILED_PRECONDITION:
                return [f"{transaction_id}: {error.code()} {error.details()}"]
    return []
