"""A gRPC server that answers by a script, and remembers what it was sent: for what a real server
would have to be brought to by force, such as being overloaded five times in a row.
"""
import collections
import concurrent.futures
import threading
import time

import server as _  # noqa: F401  the path of the generated messages
import grpc
from google.rpc import error_details_pb2, status_pb2
from zandaka.v1 import transaction_pb2

Call = collections.namedtuple("Call", "method request time")


def success(context):
    """The answer to a write that has succeeded."""
    return transaction_pb2.Transaction(transaction_id="order-1-pay").SerializeToString()


def error(code, reason, applied, retry, delay_ms=0):
    """An error as the server sends it (contract 4)."""
    status = status_pb2.Status(code=grpc.StatusCode[code].value[0], message=reason)
    info = error_details_pb2.ErrorInfo(reason=reason, domain="zandaka",
                                       metadata={"applied": applied, "retry": retry})
    status.details.add().Pack(info)
    trailers = []
    if delay_ms:
        pause = error_details_pb2.RetryInfo()
        pause.retry_delay.FromMilliseconds(delay_ms)
        status.details.add().Pack(pause)
        trailers.append(("grpc-retry-pushback-ms", str(delay_ms)))
    if retry == "never":
        trailers.append(("grpc-retry-pushback-ms", "-1"))
    trailers.append(("grpc-status-details-bin", status.SerializeToString()))

    def answer(context):
        context.set_trailing_metadata(trailers)
        context.abort(grpc.StatusCode[code], reason)
    return answer


def overloaded(delay_ms):
    """OVERLOADED, to be repeated after so long."""
    return error("UNAVAILABLE", "OVERLOADED", "no", "same_request", delay_ms)


class ScriptedServer:
    """`with ScriptedServer({"Consume": [answers]}) as server:` answers each method in that order; the
    last answer goes on. `calls` has what was sent."""

    def __init__(self, answers):
        self.answers = {method: list(each) for method, each in answers.items()}
        self.calls = []
        self.mutex = threading.Lock()

    def __enter__(self):
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
            "zandaka.v1.BalanceService",
            {method: grpc.unary_unary_rpc_method_handler(self.handler(method))
             for method in self.answers}),))
        self.address = "127.0.0.1:%d" % self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        return self

    def __exit__(self, *exception):
        self.server.stop(grace=None).wait()

    def handler(self, method):
        def handle(request, context):
            with self.mutex:
                self.calls.append(Call(method, request, time.monotonic()))
                answers = self.answers[method]
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
            return answer(context)
        return handle
