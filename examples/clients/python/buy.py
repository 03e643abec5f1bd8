#!/usr/bin/python3
"""Pays orders from a queue, each of them once, whatever the network does.

    buy.py SERVER [ATTEMPT_MS [PATIENCE_MS]] < orders

An order is a line `order account kind amount`. For each there is one line of what may be told:
`order paid`, `order not_paid REASON` (and never will be), or `order unsettled REASON`: it belongs
back in the queue.
"""
import os
import random
import sys
import time

import grpc
from google.rpc import error_details_pb2, status_pb2
from zandaka.v1 import balance_service_pb2, balance_service_pb2_grpc

FIRST_PAUSE_S, LAST_PAUSE_S = 0.05, 1.0
FENCE_PATIENCE_S = 60.0

# Errors of the connection carry no details. These may leave the outcome unknown; any other says
# that the request itself is wrong.
WORTH_REPEATING = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED,
                   grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL,
                   grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ABORTED}


class Refused(Exception):
    """An error that is no use repeating now (retry: after_change or never)."""

    def __init__(self, reason):
        super().__init__(reason)
        self.reason = reason


class OutOfPatience(Exception):
    """Every attempt so far left the outcome unknown, or asked for another."""

    reason = "GAVE_UP"


def what_to_do(error):
    """(reason, whether to repeat it, seconds to wait at least) of a failed attempt."""
    reason, repeat, wait_s = error.code().name, error.code() in WORTH_REPEATING, 0.0
    status = status_pb2.Status()
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status.ParseFromString(value)
    for detail in status.details:
        info, pause = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        if detail.Unpack(info) and info.domain == "zandaka":
            reason, repeat = info.reason, info.metadata["retry"] == "same_request"
        elif detail.Unpack(pause):
            wait_s = pause.retry_delay.seconds + pause.retry_delay.nanos / 1e9
    return reason, repeat, wait_s


class Shop:
    def __init__(self, server, service_config, attempt_s, patience_s):
        channel = grpc.insecure_channel(server, options=[
            ("grpc.service_config", service_config), ("grpc.max_reconnect_backoff_ms", 1000)])
        self.service = balance_service_pb2_grpc.BalanceServiceStub(channel)
        self.attempt_s = attempt_s
        self.patience_s = patience_s

    def settle(self, method, request, patience_s):
        """Sends the same request until there is an answer that settles it. Raises Refused, or
        OutOfPatience when the outcome is still unknown."""
        give_up_at = time.monotonic() + patience_s
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return method(request, timeout=self.attempt_s)
            except grpc.RpcError as error:
                reason, repeat, wait_s = what_to_do(error)
            if not repeat:
                raise Refused(reason)
            wait_s += random.uniform(0, pause_s)  # jitter, so that callers do not come in step
            if time.monotonic() + wait_s >= give_up_at:
                raise OutOfPatience
            time.sleep(wait_s)
            pause_s = min(2 * pause_s, LAST_PAUSE_S)

    def pay(self, order, account, kind, amount):
        """What may be told of the order. The id is made from the order, never from the attempt."""
        request = balance_service_pb2.ConsumeRequest(
            transaction_id=f"{order}-pay", account_id=account,
            amounts=[balance_service_pb2.Amount(kind=kind, amount=amount)])
        try:
            self.settle(self.service.Consume, request, self.patience_s)
            return "paid"
        except (Refused, OutOfPatience) as failure:
            reason = failure.reason
        # Both of these say that this request has not succeeded and never will.
        if reason in ("TRANSACTION_CANCELLED", "TRANSACTION_ID_REUSED"):
            return f"not_paid {reason}"
        return self.fence(request, reason)

    def fence(self, request, reason):
        """An earlier attempt may have succeeded, or still arrive: only a fence settles the id."""
        fence = balance_service_pb2.CancelRequest(transaction_id=request.transaction_id)
        try:
            self.settle(self.service.Cancel, fence, FENCE_PATIENCE_S)
            return f"not_paid {reason}"
        except OutOfPatience:
            return f"unsettled {reason}"
        except Refused as refused:
            if refused.reason == "INVALID_REQUEST":  # nothing can ever have such an id
                return f"not_paid {reason}"
            if refused.reason != "TRANSACTION_SUCCEEDED":
                return f"unsettled {refused.reason}"
        # The fence came too late. A repeat tells whether it was this very request that succeeded.
        try:
            self.settle(self.service.Consume, request, FENCE_PATIENCE_S)
            return "paid"
        except Refused as refused:
            return f"not_paid {refused.reason}"
        except OutOfPatience:
            return f"unsettled {reason}"


def main():
    server = sys.argv[1]
    attempt_s = int(sys.argv[2]) / 1000 if len(sys.argv) > 2 else 2.0
    patience_s = int(sys.argv[3]) / 1000 if len(sys.argv) > 3 else 30.0
    with open(os.environ.get("SERVICE_CONFIG", "../service_config.json"), encoding="utf-8") as file:
        shop = Shop(server, file.read(), attempt_s, patience_s)
    for line in sys.stdin:
        order, account, kind, amount = line.split()
        print(order, shop.pay(order, account, kind, int(amount)), flush=True)


if __name__ == "__main__":
    main()
