/*
 * Pays orders from a queue, each of them once, whatever the network does.
 *
 *     node built/buy.js SERVER [ATTEMPT_MS [PATIENCE_MS]] < orders
 *
 * An order is a line `order account kind amount`. For each there is one line of what may be told:
 * `order paid`, `order not_paid REASON` (and never will be), or `order unsettled REASON`: it belongs
 * back in the queue.
 */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

import { credentials, status, Metadata, type CallOptions, type ServiceError } from "@grpc/grpc-js";

import { ErrorInfo, RetryInfo } from "./generated/google/rpc/error_details";
import { Status } from "./generated/google/rpc/status";
import {
  BalanceServiceClient,
  CancelRequest,
  ConsumeRequest,
} from "./generated/zandaka/v1/balance_service";

const FIRST_PAUSE_MS = 50;
const LAST_PAUSE_MS = 1000;
const FENCE_PATIENCE_MS = 60_000;

// Errors of the connection carry no details. These may leave the outcome unknown; any other says
// that the request itself is wrong.
const WORTH_REPEATING = new Set([
  status.UNAVAILABLE,
  status.DEADLINE_EXCEEDED,
  status.CANCELLED,
  status.UNKNOWN,
  status.INTERNAL,
  status.RESOURCE_EXHAUSTED,
  status.ABORTED,
]);

type Answered = (error: ServiceError | null) => void;
type Send = (metadata: Metadata, options: CallOptions, answered: Answered) => void;

/** What became of a request: a success, a refusal that is no use repeating now, or nobody knows. */
type Outcome =
  | { settled: "success" }
  | { settled: "refused"; reason: string }
  | { settled: "no"; reason: "GAVE_UP" };

/** Says of a failed attempt why, whether to repeat it, and how long to wait at least. */
function whatToDo(error: ServiceError): { reason: string; repeat: boolean; waitMs: number } {
  let reason = status[error.code];
  let repeat = WORTH_REPEATING.has(error.code);
  let waitMs = 0;
  for (const value of error.metadata.get("grpc-status-details-bin")) {
    for (const detail of Status.decode(value as Buffer).details) {
      if (detail.typeUrl.endsWith("/google.rpc.ErrorInfo")) {
        const info = ErrorInfo.decode(detail.value);
        if (info.domain === "zandaka") {
          reason = info.reason;
          repeat = info.metadata["retry"] === "same_request";
        }
      } else if (detail.typeUrl.endsWith("/google.rpc.RetryInfo")) {
        const delay = RetryInfo.decode(detail.value).retryDelay;
        waitMs = delay ? Number(delay.seconds) * 1000 + delay.nanos / 1e6 : 0;
      }
    }
  }
  return { reason, repeat, waitMs };
}

class Shop {
  constructor(
    private readonly service: BalanceServiceClient,
    private readonly attemptMs: number,
    private readonly patienceMs: number,
  ) {}

  /** Sends the same request until there is an answer that settles it. */
  private async settle(patienceMs: number, send: Send): Promise<Outcome> {
    const giveUpAt = performance.now() + patienceMs;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LAST_PAUSE_MS)) {
      const error = await new Promise<ServiceError | null>((answered) =>
        send(new Metadata(), { deadline: Date.now() + this.attemptMs }, answered),
      );
      if (error === null) {
        return { settled: "success" };
      }
      const { reason, repeat, waitMs } = whatToDo(error);
      if (!repeat) {
        return { settled: "refused", reason };
      }
      // Jitter, so that callers do not come in step.
      const wait = Math.ceil(waitMs + Math.random() * pauseMs);
      if (performance.now() + wait >= giveUpAt) {
        return { settled: "no", reason: "GAVE_UP" };
      }
      await sleep(wait);
    }
  }

  private consume(request: ConsumeRequest, patienceMs: number): Promise<Outcome> {
    return this.settle(patienceMs, (metadata, options, answered) =>
      this.service.consume(request, metadata, options, answered),
    );
  }

  /** What may be told of the order. The id is made from the order, never from the attempt. */
  async pay(order: string, accountId: string, kind: string, amount: bigint): Promise<string> {
    const request = ConsumeRequest.fromPartial({
      transactionId: `${order}-pay`,
      accountId,
      amounts: [{ kind, amount }],
    });
    const outcome = await this.consume(request, this.patienceMs);
    if (outcome.settled === "success") {
      return "paid";
    }
    // Both of these say that this request has not succeeded and never will.
    if (["TRANSACTION_CANCELLED", "TRANSACTION_ID_REUSED"].includes(outcome.reason)) {
      return `not_paid ${outcome.reason}`;
    }
    return this.fence(request, outcome.reason);
  }

  /** An earlier attempt may have succeeded, or still arrive: only a fence settles the id. */
  private async fence(request: ConsumeRequest, reason: string): Promise<string> {
    const fence = CancelRequest.fromPartial({ transactionId: request.transactionId });
    const fenced = await this.settle(FENCE_PATIENCE_MS, (metadata, options, answered) =>
      this.service.cancel(fence, metadata, options, answered),
    );
    if (fenced.settled === "success") {
      return `not_paid ${reason}`;
    }
    if (fenced.settled === "no") {
      return `unsettled ${reason}`;
    }
    if (fenced.reason === "INVALID_REQUEST") {
      return `not_paid ${reason}`; // nothing can ever have such an id
    }
    if (fenced.reason !== "TRANSACTION_SUCCEEDED") {
      return `unsettled ${fenced.reason}`;
    }
    // The fence came too late. A repeat tells whether it was this very request that succeeded.
    const repeated = await this.consume(request, FENCE_PATIENCE_MS);
    switch (repeated.settled) {
      case "success":
        return "paid";
      case "refused":
        return `not_paid ${repeated.reason}`;
      case "no":
        return `unsettled ${reason}`;
    }
  }
}

async function main(): Promise<void> {
  const [server, attemptMs = "2000", patienceMs = "30000"] = process.argv.slice(2);
  if (server === undefined) {
    console.error("usage: buy SERVER [ATTEMPT_MS [PATIENCE_MS]] < orders");
    process.exit(2);
  }
  const serviceConfig = readFileSync(process.env["SERVICE_CONFIG"] ?? "../service_config.json", "utf8");
  const service = new BalanceServiceClient(server, credentials.createInsecure(), {
    "grpc.service_config": serviceConfig,
  });
  const shop = new Shop(service, Number(attemptMs), Number(patienceMs));
  for await (const line of createInterface({ input: process.stdin })) {
    const [order, account, kind, amount] = line.trim().split(/\s+/);
    console.log(order, await shop.pay(order, account, kind, BigInt(amount)));
  }
  service.close();
}

void main();
