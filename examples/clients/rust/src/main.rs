//! Pays orders from a queue, each of them once, whatever the network does.
//!
//!     buy SERVER [ATTEMPT_MS [PATIENCE_MS]] < orders
//!
//! An order is a line `order account kind amount`. For each there is one line of what may be told:
//! `order paid`, `order not_paid REASON` (and never will be), or `order unsettled REASON`: it
//! belongs back in the queue.

use std::error::Error;
use std::future::Future;
use std::io::BufRead;
use std::time::{Duration, Instant};

use prost::Message;
use rand::Rng;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use google::rpc::{ErrorInfo, RetryInfo};
use zandaka::v1::balance_service_client::BalanceServiceClient;
use zandaka::v1::{Amount, CancelRequest, ConsumeRequest};

mod google {
    pub mod api {
        tonic::include_proto!("google.api");
    }
    pub mod rpc {
        tonic::include_proto!("google.rpc");
    }
}
mod zandaka {
    pub mod v1 {
        tonic::include_proto!("zandaka.v1");
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(1);
const FENCE_PATIENCE: Duration = Duration::from_secs(60);

/// Why a request is not settled by a success.
enum NotDone {
    /// An error that is no use repeating now (retry: after_change or never).
    Refused(String),
    /// Every attempt so far left the outcome unknown, or asked for another.
    OutOfPatience,
}

impl NotDone {
    fn reason(&self) -> &str {
        match self {
            NotDone::Refused(reason) => reason,
            NotDone::OutOfPatience => "GAVE_UP",
        }
    }
}

/// What is known of a failed attempt.
struct Failure {
    reason: String,
    repeat: bool,
    wait: Duration,
}

/// Errors of the connection carry no details. These may leave the outcome unknown; any other says
/// that the request itself is wrong.
fn worth_repeating(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
            | Code::Internal
            | Code::ResourceExhausted
            | Code::Aborted
    )
}

fn what_to_do(error: &Status) -> Failure {
    let mut failure = Failure {
        reason: format!("{:?}", error.code()),
        repeat: worth_repeating(error.code()),
        wait: Duration::ZERO,
    };
    // Details that cannot be read leave the decision to the code.
    let status = google::rpc::Status::decode(error.details()).unwrap_or_default();
    for detail in &status.details {
        if detail.type_url.ends_with("/google.rpc.ErrorInfo") {
            let info = ErrorInfo::decode(&*detail.value).unwrap_or_default();
            if info.domain == "zandaka" {
                failure.repeat = info
                    .metadata
                    .get("retry")
                    .map_or(false, |retry| retry == "same_request");
                failure.reason = info.reason;
            }
        } else if detail.type_url.ends_with("/google.rpc.RetryInfo") {
            let pause = RetryInfo::decode(&*detail.value).unwrap_or_default();
            let delay = pause.retry_delay.unwrap_or_default();
            failure.wait = Duration::new(
                delay.seconds.try_into().unwrap_or(0),
                delay.nanos.try_into().unwrap_or(0),
            );
        }
    }
    failure
}

struct Shop {
    service: BalanceServiceClient<Channel>,
    attempt: Duration,
    patience: Duration,
}

impl Shop {
    /// Sends the same request until there is an answer that settles it.
    async fn settle<Message, Answer, Sent>(
        &self,
        patience: Duration,
        message: &Message,
        send: impl Fn(BalanceServiceClient<Channel>, Request<Message>) -> Sent,
    ) -> Result<(), NotDone>
    where
        Message: Clone,
        Sent: Future<Output = Result<Answer, Status>>,
    {
        let give_up_at = Instant::now() + patience;
        let mut pause = FIRST_PAUSE;
        loop {
            let mut request = Request::new(message.clone());
            request.set_timeout(self.attempt); // tells the server; the time-out below is ours
            let answered = tokio::time::timeout(self.attempt, send(self.service.clone(), request));
            let error = match answered.await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => error,
                Err(_) => Status::deadline_exceeded("no answer in time"),
            };
            let failure = what_to_do(&error);
            if !failure.repeat {
                return Err(NotDone::Refused(failure.reason));
            }
            // Jitter, so that callers do not come in step.
            let wait = failure.wait + pause.mul_f64(rand::thread_rng().gen_range(0.0..1.0));
            if Instant::now() + wait >= give_up_at {
                return Err(NotDone::OutOfPatience);
            }
            tokio::time::sleep(wait).await;
            pause = LAST_PAUSE.min(2 * pause);
        }
    }

    async fn consume(&self, request: &ConsumeRequest, patience: Duration) -> Result<(), NotDone> {
        let send = |mut service: BalanceServiceClient<Channel>, request| async move {
            service.consume(request).await
        };
        self.settle(patience, request, send).await
    }

    /// What may be told of the order. The id is made from the order, never from the attempt.
    async fn pay(&self, order: &str, account: &str, kind: &str, amount: i64) -> String {
        let request = ConsumeRequest {
            transaction_id: format!("{order}-pay"),
            account_id: account.to_string(),
            amounts: vec![Amount {
                kind: kind.to_string(),
                amount,
                expire_time: None,
            }],
            ..Default::default()
        };
        let failure = match self.consume(&request, self.patience).await {
            Ok(()) => return "paid".to_string(),
            Err(failure) => failure,
        };
        match failure.reason() {
            // Both of these say that this request has not succeeded and never will.
            reason @ ("TRANSACTION_CANCELLED" | "TRANSACTION_ID_REUSED") => {
                format!("not_paid {reason}")
            }
            reason => self.fence(&request, reason).await,
        }
    }

    /// An earlier attempt may have succeeded, or still arrive: only a fence settles the id.
    async fn fence(&self, request: &ConsumeRequest, reason: &str) -> String {
        let fence = CancelRequest {
            transaction_id: request.transaction_id.clone(),
        };
        let send = |mut service: BalanceServiceClient<Channel>, request| async move {
            service.cancel(request).await
        };
        match self.settle(FENCE_PATIENCE, &fence, send).await {
            Ok(()) => return format!("not_paid {reason}"),
            Err(NotDone::OutOfPatience) => return format!("unsettled {reason}"),
            Err(NotDone::Refused(why)) => match why.as_str() {
                "TRANSACTION_SUCCEEDED" => (),
                // Nothing can ever have such an id.
                "INVALID_REQUEST" => return format!("not_paid {reason}"),
                _ => return format!("unsettled {why}"),
            },
        }
        // The fence came too late. A repeat tells whether it was this very request that succeeded.
        match self.consume(request, FENCE_PATIENCE).await {
            Ok(()) => "paid".to_string(),
            Err(NotDone::Refused(why)) => format!("not_paid {why}"),
            Err(NotDone::OutOfPatience) => format!("unsettled {reason}"),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let server = arguments
        .get(1)
        .ok_or("usage: buy SERVER [ATTEMPT_MS [PATIENCE_MS]] < orders")?;
    let milliseconds = |number: usize, otherwise: u64| match arguments.get(number) {
        Some(given) => given.parse().map(Duration::from_millis),
        None => Ok(Duration::from_millis(otherwise)),
    };
    let channel = Endpoint::from_shared(format!("http://{server}"))?.connect_lazy();
    let shop = Shop {
        service: BalanceServiceClient::new(channel),
        attempt: milliseconds(2, 2000)?,
        patience: milliseconds(3, 30000)?,
    };
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let [order, account, kind, amount] = fields[..] {
            println!(
                "{order} {}",
                shop.pay(order, account, kind, amount.parse()?).await
            );
        } else {
            return Err(format!("not an order: {line}").into());
        }
    }
    Ok(())
}
