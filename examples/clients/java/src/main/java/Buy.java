import com.google.gson.Gson;
import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.EnumSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import zandaka.v1.BalanceServiceGrpc;
import zandaka.v1.BalanceServiceGrpc.BalanceServiceBlockingStub;
import zandaka.v1.Amount;
import zandaka.v1.CancelRequest;
import zandaka.v1.ConsumeRequest;

/**
 * Pays orders from a queue, each of them once, whatever the network does.
 *
 * <pre>java -jar buy.jar SERVER [ATTEMPT_MS [PATIENCE_MS]] &lt; orders</pre>
 *
 * An order is a line {@code order account kind amount}. For each there is one line of what may be
 * told: {@code order paid}, {@code order not_paid REASON} (and never will be), or
 * {@code order unsettled REASON}: it belongs back in the queue.
 */
public final class Buy {
  private static final Duration FIRST_PAUSE = Duration.ofMillis(50);
  private static final Duration LAST_PAUSE = Duration.ofSeconds(1);
  private static final Duration FENCE_PATIENCE = Duration.ofMinutes(1);

  /**
   * Errors of the connection carry no details. These may leave the outcome unknown; any other says
   * that the request itself is wrong.
   */
  private static final Set<Status.Code> WORTH_REPEATING =
      EnumSet.of(
          Status.Code.UNAVAILABLE,
          Status.Code.DEADLINE_EXCEEDED,
          Status.Code.CANCELLED,
          Status.Code.UNKNOWN,
          Status.Code.INTERNAL,
          Status.Code.RESOURCE_EXHAUSTED,
          Status.Code.ABORTED);

  /** What is known of a failed attempt. */
  private record Failure(String reason, boolean repeat, Duration delay) {
    static Failure of(StatusRuntimeException error) {
      String reason = error.getStatus().getCode().name();
      boolean repeat = WORTH_REPEATING.contains(error.getStatus().getCode());
      Duration delay = Duration.ZERO;
      try {
        for (Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
          if (detail.is(ErrorInfo.class)) {
            ErrorInfo info = detail.unpack(ErrorInfo.class);
            if (info.getDomain().equals("zandaka")) {
              reason = info.getReason();
              repeat = "same_request".equals(info.getMetadataMap().get("retry"));
            }
          } else if (detail.is(RetryInfo.class)) {
            var asked = detail.unpack(RetryInfo.class).getRetryDelay();
            delay = Duration.ofSeconds(asked.getSeconds(), asked.getNanos());
          }
        }
      } catch (InvalidProtocolBufferException unreadable) {
        // Then the code alone decides.
      }
      return new Failure(reason, repeat, delay);
    }
  }

  /** The request is not settled by a success: it was refused, or patience came to its end. */
  private static final class NotDone extends Exception {
    final String reason;
    final boolean outOfPatience;

    NotDone(String reason, boolean outOfPatience) {
      super(reason);
      this.reason = reason;
      this.outOfPatience = outOfPatience;
    }
  }

  private final BalanceServiceBlockingStub service;
  private final Duration attempt;
  private final Duration patience;

  private Buy(BalanceServiceBlockingStub service, Duration attempt, Duration patience) {
    this.service = service;
    this.attempt = attempt;
    this.patience = patience;
  }

  /** Sends the same request until there is an answer that settles it. */
  private void settle(Duration patience, Consumer<BalanceServiceBlockingStub> send)
      throws NotDone, InterruptedException {
    long giveUpAt = System.nanoTime() + patience.toNanos();
    for (Duration pause = FIRST_PAUSE; ; pause = min(pause.multipliedBy(2), LAST_PAUSE)) {
      Failure failure;
      try {
        send.accept(service.withDeadlineAfter(attempt.toMillis(), TimeUnit.MILLISECONDS));
        return;
      } catch (StatusRuntimeException error) {
        failure = Failure.of(error);
      }
      if (!failure.repeat()) {
        throw new NotDone(failure.reason(), false);
      }
      // Jitter, so that callers do not come in step.
      long jitter = ThreadLocalRandom.current().nextLong(pause.toNanos());
      Duration wait = failure.delay().plusNanos(jitter);
      if (System.nanoTime() + wait.toNanos() - giveUpAt >= 0) {
        throw new NotDone("GAVE_UP", true);
      }
      TimeUnit.NANOSECONDS.sleep(wait.toNanos());
    }
  }

  private static Duration min(Duration a, Duration b) {
    return a.compareTo(b) < 0 ? a : b;
  }

  /** What may be told of the order. The id is made from the order, never from the attempt. */
  private String pay(String order, String account, String kind, long amount)
      throws InterruptedException {
    ConsumeRequest request =
        ConsumeRequest.newBuilder()
            .setTransactionId(order + "-pay")
            .setAccountId(account)
            .addAmounts(Amount.newBuilder().setKind(kind).setAmount(amount))
            .build();
    try {
      settle(patience, service -> service.consume(request));
      return "paid";
    } catch (NotDone failed) {
      // Both of these say that this request has not succeeded and never will.
      if (Set.of("TRANSACTION_CANCELLED", "TRANSACTION_ID_REUSED").contains(failed.reason)) {
        return "not_paid " + failed.reason;
      }
      return fence(request, failed.reason);
    }
  }

  /** An earlier attempt may have succeeded, or still arrive: only a fence settles the id. */
  private String fence(ConsumeRequest request, String reason) throws InterruptedException {
    CancelRequest fence =
        CancelRequest.newBuilder().setTransactionId(request.getTransactionId()).build();
    try {
      settle(FENCE_PATIENCE, service -> service.cancel(fence));
      return "not_paid " + reason;
    } catch (NotDone failed) {
      if (failed.outOfPatience) {
        return "unsettled " + reason;
      }
      if (failed.reason.equals("INVALID_REQUEST")) { // nothing can ever have such an id
        return "not_paid " + reason;
      }
      if (!failed.reason.equals("TRANSACTION_SUCCEEDED")) {
        return "unsettled " + failed.reason;
      }
    }
    // The fence came too late. A repeat tells whether it was this very request that succeeded.
    try {
      settle(FENCE_PATIENCE, service -> service.consume(request));
      return "paid";
    } catch (NotDone failed) {
      return failed.outOfPatience ? "unsettled " + reason : "not_paid " + failed.reason;
    }
  }

  private static Duration milliseconds(String[] arguments, int number, long otherwise) {
    return Duration.ofMillis(
        arguments.length > number ? Long.parseLong(arguments[number]) : otherwise);
  }

  @SuppressWarnings("unchecked") // a service config is a JSON object
  private static Map<String, ?> serviceConfig() throws IOException {
    String path = System.getenv().getOrDefault("SERVICE_CONFIG", "../service_config.json");
    return new Gson().fromJson(Files.readString(Path.of(path)), Map.class);
  }

  public static void main(String[] arguments) throws IOException, InterruptedException {
    if (arguments.length < 1) {
      System.err.println("usage: buy SERVER [ATTEMPT_MS [PATIENCE_MS]] < orders");
      System.exit(2);
    }
    ManagedChannel channel =
        Grpc.newChannelBuilder(arguments[0], InsecureChannelCredentials.create())
            .defaultServiceConfig(serviceConfig())
            .enableRetry()
            .build();
    Buy shop =
        new Buy(
            BalanceServiceGrpc.newBlockingStub(channel),
            milliseconds(arguments, 1, 2000),
            milliseconds(arguments, 2, 30000));
    var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      String[] order = line.trim().split("\\s+");
      System.out.println(
          order[0] + " " + shop.pay(order[0], order[1], order[2], Long.parseLong(order[3])));
    }
    channel.shutdownNow();
  }
}
