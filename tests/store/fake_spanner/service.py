"""The calls: sessions, transactions, reads and commits, with the faults that are asked for.

What a client must send with each call is checked: one that breaks a rule is refused, and the rule is
told on standard error and counted, which tests look at in the end.
"""
import contextlib
import re
import sys
import threading
import time
import urllib.parse

import grpc

from database import Database
from faults import Faults
from rows import Refused
from stream import Streams, messages_of

REQUEST_ID = re.compile(r"1\.[0-9a-f]{16}\.\d+\.\d+\.(\d+)\.(\d+)")
AUTHORIZATION = re.compile(r"Bearer [A-Za-z0-9._~+/-]+=*")
UNAUTHENTICATED = ("UNAUTHENTICATED", "Request had invalid authentication credentials.")
RESET = "Received RST_STREAM with error code 2"
ENDS = {"": ("UNAVAILABLE", "The service is currently unavailable."),
        "_reset": ("INTERNAL", RESET),
        "_unknown": ("UNKNOWN", "Stream removed"),
        "_forgotten": ("UNAVAILABLE", "The service is currently unavailable.")}


class Session:
    def __init__(self, name, database, multiplexed):
        self.name = name
        self.database = database
        self.multiplexed = multiplexed
        self.current = None  # an ordinary one has one transaction that writes at a time


class Service:
    def __init__(self, types, cut_connection):
        self.types = types
        self.cut_connection = cut_connection
        self.lock = threading.RLock()
        self.faults = Faults()
        self.streams = Streams()
        self.multiplexed = True
        self.wants_authorization = False
        self.shown_tokens = set()
        self.revoked_tokens = set()
        self.databases = {}
        self.sessions = {}
        self.n_sessions = 0
        self.calls = {}
        self.n_violations = 0
        self.cut_peers = set()  # whose connections were cut
        self.begun_by_reads = 0  # transactions, and not by a call of their own
        self.previous_ids = 0  # transactions that named the attempt before
        self.delay_ms = None  # what aborted ones are asked to wait; None: at random, not long
        self.last_requests = {}

    # --- what every call must have ---

    def note_violation(self, rule):
        self.n_violations += 1
        print(f"fake Spanner: broken rule: {rule}", file=sys.stderr, flush=True)

    def violate(self, rule):
        self.note_violation(rule)
        raise Refused("INVALID_ARGUMENT", f"broken rule: {rule}")

    def check_headers(self, method, context, database, key, value, to_leader):
        self.calls[method] = self.calls.get(method, 0) + 1
        headers = dict(context.invocation_metadata())
        authorization = headers.get("authorization", "")
        if self.wants_authorization != bool(AUTHORIZATION.fullmatch(authorization)):
            self.violate(f"{method}: authorization goes over TLS and nowhere else")
        self.shown_tokens.add(authorization)
        if headers.get("google-cloud-resource-prefix") != database:
            self.violate(f"{method}: google-cloud-resource-prefix is the database")
        wanted = f"{key}={urllib.parse.quote(value, safe='')}"
        if headers.get("x-goog-request-params") != wanted:
            self.violate(f"{method}: x-goog-request-params is {wanted}")
        if to_leader and headers.get("x-goog-spanner-route-to-leader") != "true":
            self.violate(f"{method}: x-goog-spanner-route-to-leader of a call that writes")
        match = REQUEST_ID.fullmatch(headers.get("x-goog-spanner-request-id", ""))
        if not match:
            self.violate(f"{method}: x-goog-spanner-request-id")
        request, attempt = match[0].rpartition(".")[0], int(match[2])
        if attempt <= self.last_requests.get(request, 0):
            self.violate(f"{method}: a request's id comes once, or with the next attempt")
        self.last_requests[request] = attempt
        if authorization in self.revoked_tokens:
            raise Refused(*UNAUTHENTICATED)

    def find_session(self, method, request, context, to_leader):
        database = request.session.rpartition("/sessions/")[0]
        self.check_headers(method, context, database, "session", request.session, to_leader)
        session = self.sessions.get(request.session)
        if session is None:
            raise Refused("NOT_FOUND", f"Session not found: {request.session}")
        return session

    def choose_fault(self, method, session, applies=lambda fault: True):
        """The fault; those that come before every call are done here."""
        fault = self.faults.choose(method, applies)
        if fault == "unavailable":
            raise Refused(*ENDS[""])
        if fault == "session":
            del self.sessions[session.name]
            raise Refused("NOT_FOUND", f"Session not found: {session.name}")
        return fault

    @contextlib.contextmanager
    def answering(self, context):
        """Under the lock; what is refused becomes the call's status, and a bug of the fake is told."""
        refused = None
        with self.lock:
            try:
                yield
            except Refused as error:
                refused = error
            except Exception as error:
                self.note_violation(f"the fake failed: {error!r}")
                raise
        if refused is not None:
            self.end(context, refused)

    def end(self, context, refused):
        if refused.status == "cut":
            self.cut_peers.add(context.peer())
            self.cut_connection(context.peer())
            context.abort(grpc.StatusCode.UNAVAILABLE, "the connection was closed")
        if refused.status == "ABORTED" and getattr(refused, "with_delay", True):
            info = self.types.RetryInfo()
            info.retry_delay.nanos = getattr(refused, "delay_ms", 0) * 1_000_000
            context.set_trailing_metadata((("google.rpc.retryinfo-bin", info.SerializeToString()),))
        context.abort(grpc.StatusCode[refused.status], refused.message)

    # --- sessions ---

    def create_session(self, request, context):
        with self.answering(context):
            self.check_headers("CreateSession", context, request.database, "database",
                               request.database, True)
            if request.database not in self.databases:
                raise Refused("NOT_FOUND", f"Database not found: {request.database}")
            self.choose_fault("CreateSession", None)
            return self.open_session(request.database, request.session.multiplexed)
        return None

    def open_session(self, database, wants_multiplexed):
        self.n_sessions += 1
        name = f"{database}/sessions/s{self.n_sessions}"
        multiplexed = self.multiplexed and wants_multiplexed
        self.sessions[name] = Session(name, self.databases[database], multiplexed)
        return self.types.Session(name=name, multiplexed=multiplexed)

    # --- transactions ---

    def begin(self, session, options, mutation_key=None):
        """The transaction, of whichever sort."""
        database = session.database
        if options.WhichOneof("mode") == "read_write":
            previous = getattr(options.read_write, "multiplexed_session_previous_transaction_id", b"")
            if previous:
                self.previous_ids += 1
                before = database.transactions.get(bytes(previous))
                if before is None:
                    self.violate("the attempt before is a transaction of this database")
                if time.monotonic() < before.not_before:
                    self.violate("after an aborted transaction, as long is waited as was asked for")
            transaction = database.begin(session.name, True)
            if session.multiplexed and mutation_key is not None:
                transaction.seq_num = transaction.told_seq_num = 1
            if not session.multiplexed:
                if session.current is not None and session.current.state == "open":
                    session.current.state = "aborted"
                session.current = transaction
            return transaction
        if options.WhichOneof("mode") == "read_only":
            return database.begin(session.name, False, self.moment_of(database, options.read_only))
        return self.violate("a transaction reads only, or reads and writes")

    def moment_of(self, database, read_only):
        bound = read_only.WhichOneof("timestamp_bound")
        now_us = database.now_us()
        if bound == "read_timestamp":
            moment_us = read_only.read_timestamp.ToMicroseconds()
            database.last_us = max(database.last_us, moment_us)  # what comes later is committed later
            return moment_us
        if bound == "exact_staleness":
            return now_us - read_only.exact_staleness.ToMicroseconds()
        if bound == "max_staleness":
            return now_us - self.faults.random.randint(0, read_only.max_staleness.ToMicroseconds())
        return now_us

    def fill_transaction(self, into, transaction, options):
        into.id = transaction.id
        if not transaction.writes and options.read_only.return_read_timestamp:
            into.read_timestamp.FromMicroseconds(transaction.moment_us)

    def fill_token(self, into, transaction):
        into.precommit_token = self.token(transaction, transaction.seq_num)
        into.seq_num = transaction.seq_num

    @staticmethod
    def token(transaction, seq_num):
        return transaction.id + b"-token-%d" % seq_num

    def begin_transaction(self, request, context):
        with self.answering(context):
            writes = request.options.WhichOneof("mode") == "read_write"
            session = self.find_session("BeginTransaction", request, context, writes)
            self.choose_fault("BeginTransaction", session)
            has_key = "mutation_key" in request.DESCRIPTOR.fields_by_name and \
                request.HasField("mutation_key")
            transaction = self.begin(session, request.options,
                                     request.mutation_key if has_key else None)
            answer = self.types.Transaction()
            self.fill_transaction(answer, transaction, request.options)
            if transaction.seq_num:
                self.fill_token(answer.precommit_token, transaction)
            return answer
        return None

    def rollback(self, request, context):
        with self.answering(context):
            session = self.find_session("Rollback", request, context, True)
            self.choose_fault("Rollback", session)
            transaction = session.database.transactions.get(request.transaction_id)
            if transaction is not None and transaction.state in ("open", "aborted"):
                transaction.state = "ended"
            return self.types.Empty()
        return None

    # --- reads ---

    def streaming_read(self, request, context):
        with self.answering(context):
            # What came on a connection before it was cut may be done behind what came after it.
            if context.peer() in self.cut_peers and self.is_of_committed(request):
                raise Refused(*ENDS[""])
            messages, transaction, ends_at, end = self.prepare_read(request, context)
        told = 0
        for at, message in enumerate(messages):
            if at == ends_at:
                break
            if transaction is not None:
                with self.lock:
                    self.add_token(message, transaction, at == 0)
                told = max(told, message.precommit_token.seq_num)
            yield message
        # What arrives counts; a stream that is lost is asked for again, and then gives a newer one.
        if transaction is not None and context.is_active() and (end is None or end.status != "cut"):
            with self.lock:
                transaction.told_seq_num = max(transaction.told_seq_num, told)
        if end is not None:
            with self.lock:
                if end.status == "ABORTED":
                    end = self.abort(transaction, end.message)
            self.end(context, end)

    def is_of_committed(self, request):
        of = self.sessions.get(request.session)
        known = of and of.database.transactions.get(request.transaction.id)
        return known is not None and known.state == "committed"

    def prepare_read(self, request, context):
        """The messages; the transaction, if it needs tokens or may be aborted; where the stream ends
        too soon, and how."""
        selector = request.transaction.WhichOneof("selector")
        options = getattr(request.transaction, selector) if selector in ("single_use", "begin") else None
        writes = selector == "id" or options and options.WhichOneof("mode") == "read_write"
        known = None
        if selector == "id":
            # Each database numbers its transactions.
            of = self.sessions.get(request.session)
            known = of and of.database.transactions.get(request.transaction.id)
            writes = known is not None and known.writes
        session = self.find_session("StreamingRead", request, context, writes)
        fault = self.choose_fault("StreamingRead", session,
                                  lambda fault: writes or not fault.startswith("aborted"))
        transaction = self.transaction_of(session, request, selector, options)
        messages = self.find_messages(session, request, transaction)
        first = type(messages[0])()
        first.CopyFrom(messages[0])
        first.metadata.SetInParent()
        if selector == "begin" or (selector == "single_use" and
                                   options.read_only.return_read_timestamp):
            self.fill_transaction(first.metadata.transaction, transaction, options)
        messages = [first] + messages[1:]
        end = {None: None, "aborted": Refused("ABORTED", fault),
               "aborted_bare": Refused("ABORTED", fault),
               "cut": Refused(*ENDS[""]), "cut_reset": Refused("INTERNAL", RESET),
               "cut_connection": Refused("cut", ""),
               "cut_unauthenticated": Refused(*UNAUTHENTICATED)}[fault]
        ends_at = self.faults.random.randint(0, len(messages)) if end is not None else None
        if not transaction.writes:
            transaction = None
        return messages, transaction, ends_at, end

    def transaction_of(self, session, request, selector, options):
        if selector == "id":
            transaction = session.database.find(request.transaction.id, session.name)
            if transaction.writes:
                if transaction.state == "committed":
                    self.violate("nothing is read in a transaction that has committed")
                session.database.use(transaction)
            return transaction
        if selector == "single_use" and options.WhichOneof("mode") != "read_only":
            self.violate("a read of its own reads only")
        if selector is None:
            self.violate("a read says of which moment it is")
        self.begun_by_reads += selector == "begin"
        return self.begin(session, options)

    def find_messages(self, session, request, transaction):
        plain = type(request)()
        plain.CopyFrom(request)
        plain.ClearField("transaction")
        plain.ClearField("resume_token")
        fingerprint = plain.SerializeToString(deterministic=True), \
            transaction.id if transaction.writes else None
        if request.resume_token:
            messages = self.streams.resume(request.resume_token, fingerprint)
            if messages is None:
                self.violate("a resume token goes with the read that it was given for")
            return messages or [self.types.PartialResultSet()]
        moment_us = session.database.now_us() if transaction.writes else transaction.moment_us
        columns, rows = session.database.read(request, transaction, moment_us)
        messages = messages_of(columns, rows, self.types, self.faults.random)
        self.streams.open(messages, fingerprint, self.faults.random)
        return messages

    def add_token(self, message, transaction, is_first):
        """A newer token, or sometimes one that has been given before."""
        message.ClearField("precommit_token")
        session = self.sessions.get(transaction.session)
        if session is None or not session.multiplexed:
            return
        if is_first or self.faults.random.random() < 0.7:
            transaction.seq_num += 1
            self.fill_token(message.precommit_token, transaction)
        else:
            older = self.faults.random.randint(1, transaction.seq_num)
            message.precommit_token.precommit_token = self.token(transaction, older)
            message.precommit_token.seq_num = older

    # --- commits ---

    def commit(self, request, context):
        with self.answering(context):
            session = self.find_session("Commit", request, context, True)
            if not request.transaction_id:
                self.violate("a commit is of a transaction that was begun: it is repeated safely")
            for mutation in request.mutations:
                if mutation.WhichOneof("operation") not in ("insert", "update"):
                    self.violate("rows are inserted and updated, and that is all")
            fault = self.choose_fault("Commit", session,
                                      lambda fault: session.multiplexed or fault != "token")
            return self.commit_with(session, request, fault)
        return None

    def abort(self, transaction, fault):
        """Aborts it; what is told of that, with how long to wait or without."""
        transaction.state = "aborted"
        refused = Refused("ABORTED", "Transaction was aborted")
        refused.with_delay = fault == "aborted"
        if refused.with_delay:
            refused.delay_ms = self.faults.random.randrange(20) if self.delay_ms is None \
                else self.delay_ms
            transaction.not_before = time.monotonic() + refused.delay_ms / 1000
        return refused

    def commit_with(self, session, request, fault):
        database = session.database
        transaction = database.find(request.transaction_id, session.name)
        if transaction.state == "committed":
            if fault is not None and fault.startswith(("lost", "unsent")):
                self.fail_commit(database, transaction, fault)
            return self.committed(transaction)
        if fault is not None and fault.startswith("aborted"):
            raise self.abort(transaction, fault)
        database.use(transaction)
        if fault is not None and fault.startswith("unsent"):
            self.fail_commit(database, transaction, fault)
        if session.multiplexed:
            self.check_token(transaction, request)
        mutations = request.mutations
        if transaction.pending is not None:
            if request.mutations:
                self.violate("a commit that comes back with a token has no mutations any more")
            mutations = transaction.pending
        if fault == "token":
            transaction.pending = list(mutations)
            transaction.seq_num += 1
            transaction.told_seq_num = transaction.seq_num
            answer = self.types.CommitResponse()
            self.fill_token(answer.precommit_token, transaction)
            return answer
        try:
            database.commit(transaction, mutations)
        except Refused:
            transaction.state = "ended"
            raise
        if fault is not None and fault.startswith("lost"):
            self.fail_commit(database, transaction, fault)
        return self.committed(transaction)

    def check_token(self, transaction, request):
        if transaction.seq_num == 0 and request.mutations:
            self.violate("a transaction without reads begins with a mutation_key")
        if transaction.seq_num == 0:
            return
        given = request.precommit_token
        if not request.HasField("precommit_token") or given.seq_num < transaction.told_seq_num or \
                given.precommit_token != self.token(transaction, given.seq_num):
            self.note_violation("a commit shows the precommit token with the highest seq_num")
            raise Refused("FAILED_PRECONDITION", f"the precommit token has the seq_num {given.seq_num}, "
                          f"after {transaction.told_seq_num} was told")

    def fail_commit(self, database, transaction, fault):
        if fault == "lost_forgotten":
            del database.transactions[transaction.id]
        how = fault.removeprefix("lost").removeprefix("unsent")
        raise Refused("cut", "") if how == "_connection" else Refused(*ENDS[how])

    def committed(self, transaction):
        answer = self.types.CommitResponse()
        answer.commit_timestamp.FromMicroseconds(transaction.commit_us)
        return answer

    # --- databases ---

    def create_database(self, name, statements):
        if name in self.databases:
            raise Refused("ALREADY_EXISTS", f"Database already exists: {name}")
        database = Database(name)
        database.apply(statements)
        self.databases[name] = database

    # --- for the test ---

    def clear(self):
        self.faults.clear()
        self.shown_tokens.clear()
        self.revoked_tokens.clear()
        self.calls.clear()
        self.delay_ms = None
        self.begun_by_reads = 0
        self.previous_ids = 0
        self.n_violations = 0

    def count(self, what, name):
        faults = self.faults.counts
        return {"calls": self.calls.get(name, 0),
                "faults": faults.get(name, 0) if name else sum(faults.values()),
                "begun": self.begun_by_reads, "previous": self.previous_ids,
                "violations": self.n_violations}[what]
