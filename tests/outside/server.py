"""A real zandaka server for a test, and clients that are not ours: http.client for JSON, grpcio for
gRPC. The binary is named by ZANDAKA, the generated messages by ZANDAKA_MESSAGES (CTest sets both).
"""
import http.client
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BINARY = os.environ.get("ZANDAKA", "build/release/zandaka")
sys.path.insert(0, os.environ.get("ZANDAKA_MESSAGES", "build/release/python"))
# What ends a server at once; a build for `make coverage` is told by a signal that it can count at.
KILL = signal.Signals[os.environ.get("ZANDAKA_KILL", "SIGKILL")]
SERVICE = "/zandaka.v1.BalanceService/"


class Server:
    """`with Server() as server:` has one running on a fresh store; kill() and start() pull the plug
    and put it back."""

    timeout_s = 30  # for an answer

    def __init__(self, config="", store=None, arguments=(), open_files=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="zandaka-test-"))
        self.store = store or self.new_store()
        self.config = self.directory / "zandaka.ini"
        self.config.write_text(config)
        self.arguments = list(arguments)
        self.open_files = open_files  # how many files the process may have open; None: as it is
        self.environment = None  # what the process's environment has besides ours
        self.process = None
        self.address = None
        self.log = open(self.directory / "log", "ab")

    def new_store(self):
        return f"rocksdb:{self.directory}/store"

    def start(self, listen="127.0.0.1:0"):
        address_file = self.directory / "address"
        address_file.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [BINARY, "serve", "--config", str(self.config), "--listen", listen, "--store",
             self.store, "--address-file", str(address_file), *self.arguments],
            stdout=self.log, stderr=self.log, env=dict(os.environ, **(self.environment or {})),
            preexec_fn=self.limit_open_files if self.open_files else None)
        while not address_file.exists():
            if self.process.poll() is not None:
                raise RuntimeError(f"serve ended with {self.process.returncode}:\n{self.log_text()}")
            time.sleep(0.005)
        self.address = address_file.read_text().strip()
        return self

    def limit_open_files(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.open_files, self.open_files))

    def log_text(self):
        return (self.directory / "log").read_text()

    def kill(self):
        """SIGKILL: what a power cut is to a process."""
        self.process.send_signal(KILL)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def stop(self):
        """SIGTERM: drains; gives the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def run(self, *arguments, **options):
        """A verb of the command line against this server; gives the finished process."""
        environment = dict(os.environ, ZANDAKA_SERVER=self.address or "127.0.0.1:1")
        return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=120,
                              env=environment, **options)

    def verify(self):
        """`zandaka verify` on the store of a stopped server."""
        return subprocess.run([BINARY, "verify", "--store", self.store], capture_output=True,
                              text=True, timeout=300)

    def call(self, method, message, headers=None):
        """One JSON call on a connection of its own: (HTTP status, headers, message)."""
        status, answer_headers, body = self.post(method, json.dumps(message).encode(), headers)
        return status, answer_headers, json.loads(body)

    def post(self, method, body, headers=None):
        connection = http.client.HTTPConnection(self.address, timeout=self.timeout_s)
        try:
            connection.request("POST", SERVICE + method, body,
                               {"content-type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def get(self, path):
        connection = http.client.HTTPConnection(self.address, timeout=self.timeout_s)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def balance(self, account, kind="points"):
        _, _, answer = self.call("GetBalance", {"accountId": account})
        return next(int(each["available"]) for each in answer["balances"] if each["kind"] == kind)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exception):
        if self.process and self.process.poll() is None:
            self.kill()
        self.log.close()
        if exception[0]:
            print(self.log_text()[-4000:], file=sys.stderr)
        shutil.rmtree(self.directory)


class Grpc:
    """The service's methods by grpcio, with messages as protobuf's Python makes them."""

    def __init__(self, address):
        import grpc
        from zandaka.v1 import balance_service_pb2, transaction_pb2
        self.grpc = grpc
        self.messages = balance_service_pb2
        self.transaction = transaction_pb2
        self.channel_address = address
        self.channel = grpc.insecure_channel(address, options=[
            ("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)])

    def method(self, name):
        """The method as raw bytes come back: answers are compared byte for byte."""
        request = getattr(self.messages, name + "Request")
        return self.channel.unary_unary(SERVICE + name,
                                        request_serializer=request.SerializeToString,
                                        response_deserializer=lambda raw: raw)

    def call(self, name, message, timeout=30):
        """(raw answer, replayed), or raises grpc.RpcError."""
        answer, call = self.method(name).with_call(message, timeout=timeout)
        return answer, ("zandaka-replayed", "true") in call.initial_metadata()

    def add(self, transaction_id, account, verb="Add", **amounts):
        request = getattr(self.messages, verb + "Request")(
            transaction_id=transaction_id, account_id=account)
        for kind, amount in amounts.items():
            request.amounts.add(kind=kind, amount=amount)
        return self.call(verb, request)

    def consume(self, transaction_id, account, **amounts):
        return self.add(transaction_id, account, "Consume", **amounts)

    def reconnect(self):
        """A channel of its own after a restart: the old one may wait before it tries again."""
        self.close()
        self.__init__(self.channel_address)

    def error_info(self, error):
        """(ErrorInfo, all details) of an RpcError."""
        from google.rpc import error_details_pb2, status_pb2
        status = status_pb2.Status()
        for key, value in error.trailing_metadata():
            if key == "grpc-status-details-bin":
                status.ParseFromString(value)
        info = error_details_pb2.ErrorInfo()
        for detail in status.details:
            if detail.Is(info.DESCRIPTOR):
                detail.Unpack(info)
        return info, status.details

    def close(self):
        self.channel.close()


def add(transaction_id, account="alice", **amounts):
    """The JSON message of an Add or a Consume."""
    return {"transactionId": transaction_id, "accountId": account,
            "amounts": [{"kind": kind, "amount": amount} for kind, amount in amounts.items()]}


def reason(answer):
    """The ErrorInfo of a JSON error, as (reason, applied, retry)."""
    for detail in answer["details"]:
        if detail["type"] == "google.rpc.ErrorInfo":
            info = detail["debug"]
            assert info["domain"] == "zandaka"
            return info["reason"], info["metadata"]["applied"], info["metadata"]["retry"]
    raise AssertionError(f"no ErrorInfo in {answer}")
