#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets, one folder for each: well-formed inputs that a mutation is
one step away from. What is hard to write by hand stands here as what it means.

    fuzz/seeds.py FOLDER
"""
import pathlib
import struct
import sys

# --- protobuf ---


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, value) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def amount(kind: str, minor: int) -> bytes:
    return field(1, kind) + field(2, minor)


def label(key: str, value: str) -> bytes:
    return field(1, key) + field(2, value)


def write_request() -> bytes:
    return (field(1, "order-1") + field(2, "alice") + field(3, amount("points", 100)) +
            field(3, amount("money", 10**15)) + field(4, "a grant") + field(5, label("k", "v")))


def timestamp(seconds: int, nanos: int) -> bytes:
    return field(1, seconds) + field(2, nanos)


# In the order of the messages in fuzz/messages.c.
PROTOBUF = [
    write_request(),
    write_request(),
    field(1, "order-1"),
    field(1, field(1, write_request())) + field(1, field(2, write_request())) +
    field(1, field(3, field(1, "order-2"))),
    field(1, field(1, field(1, "order-1"))),
    field(1, "alice"),
    field(1, "alice") + field(2, field(1, "points") + field(2, 100)),
    field(1, "alice") + field(1, "bob"),
    field(1, field(1, "alice")),
    field(1, "order-1"),
    field(1, "alice") + field(2, 50) + field(3, "token") + field(4, "points") + field(5, 1) +
    field(6, timestamp(1764000000, 5000)) + field(7, timestamp(1764000001, 0)),
    field(1, field(1, 7) + field(2, "order-1")) + field(2, "token"),
    field(1, "order-1") + field(2, 1) + field(3, 1) + field(4, "alice"),
    field(1, field(1, write_request())),
]

WRITE_JSON = """{"transactionId":"order-1","accountId":"alice","amounts":[{"kind":"points",\
"amount":"100"},{"kind":"money","amount":5}],"description":"\\u6b8b\\ud83d\\udcb4",\
"metadata":{"k":"v","l":""}}"""
JSON = [
    WRITE_JSON,
    WRITE_JSON.replace("transactionId", "transaction_id"),
    '{"transactionId":"order-1"}',
    '{"commands":[{"add":%s},{"consume":%s},{"cancel":{"transactionId":"c"}}]}' %
    (WRITE_JSON, WRITE_JSON),
    '{"results":[{"transaction":{"transactionId":"t"},"replayed":true}]}',
    '{"accountId":"alice"}',
    '{"accountId":"alice","balances":[{"kind":"points","available":"100","held":"0"}]}',
    '{"accountIds":["alice","bob"]}',
    '{"accounts":[{"accountId":"alice","balances":[]}]}',
    '{"transactionId":"order-1"}',
    '{"accountId":"alice","pageSize":50,"pageToken":"t","kinds":["points"],'
    '"operations":["OPERATION_ADD",2],"startTime":"2026-11-25T04:05:06.789+09:00",'
    '"endTime":null}',
    '{"entries":[{"sequence":"7","transactionId":"t","amount":"-5"}],"nextPageToken":"x"}',
    '{"transactionId":"t","state":"STATE_SUCCEEDED","operation":1,'
    '"createTime":"2026-11-25T04:05:06.789123Z","legs":[{"accountId":"a","kind":"p",'
    '"amount":"-9223372036854775808"}]}',
    '{"results":[]}',
]

# --- HTTP/2 ---

LITERAL = b"\x00"
INDEXED_LITERAL = b"\x40"


def text(value: bytes) -> bytes:
    assert len(value) < 127
    return bytes([len(value)]) + value


def header(name: str, value: str, form: bytes = LITERAL) -> bytes:
    return form + text(name.encode()) + text(value.encode())


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + \
        struct.pack(">I", stream) + payload


DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED = 1, 4, 8


def settings(**values) -> bytes:
    numbers = {"table": 1, "push": 2, "streams": 3, "window": 4, "frame": 5, "headers": 6}
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", numbers[name], value)
                                          for name, value in values.items()))


def message(body: bytes, flag: int = 0) -> bytes:
    return bytes([flag]) + struct.pack(">I", len(body)) + body


POST, SCHEME = b"\x83", b"\x86"  # HPACK's static table
GRPC_HEAD = (POST + SCHEME + header(":path", "/zandaka.v1.BalanceService/Add", INDEXED_LITERAL) +
             header(":authority", "h") + header("content-type", "application/grpc+proto") +
             header("te", "trailers"))


def grpc_call(stream: int, head: bytes = GRPC_HEAD, body: bytes = message(write_request())):
    return frame(HEADERS, END_HEADERS, stream, head) + frame(DATA, END_STREAM, stream, body)


STREAMED_HEAD = GRPC_HEAD.replace(b"\x1e/zandaka.v1.BalanceService/Add",
                                 text(b"/grpc.health.v1.Health/Watch"))
JSON_HEAD = (POST + SCHEME + header(":path", "/p?q=1") + header(":authority", "h") +
             header("content-type", "application/json; charset=utf-8") +
             header("connect-timeout-ms", "1500"))
MORE = header("grpc-timeout", "1500m") + header("thing-bin", "AAEC,/w") + \
    header("grpc-encoding", "identity") + header("x-thing", "a b")

HTTP2_SERVER = [
    settings() + grpc_call(1),
    settings(window=10) + frame(SETTINGS, 1, 0) + grpc_call(1) + frame(WINDOW, 0, 1, b"\0\0\1\0"),
    settings(table=0, frame=16385) + grpc_call(1, GRPC_HEAD + MORE) + grpc_call(3),
    settings() + frame(HEADERS, END_HEADERS, 1, JSON_HEAD) + frame(DATA, 0, 1, b"{") +
    frame(PING, 0, 0, b"12345678") + frame(DATA, END_STREAM, 1, b"}"),
    settings() + frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x82" + SCHEME + b"\x84" +
                       header(":authority", "h")),
    settings() + grpc_call(1, body=message(b"xx", 1)) + grpc_call(3, body=b"\0\0") +
    grpc_call(5, body=message(b"a") + message(b"b")) + grpc_call(7, body=b"\0\xff\xff\xff\xff"),
    settings() + frame(HEADERS, 0, 1, GRPC_HEAD[:20]) +
    frame(CONTINUATION, END_HEADERS, 1, GRPC_HEAD[20:]) +
    frame(DATA, PADDED | END_STREAM, 1, b"\3" + message(b"") + b"\0\0\0"),
    settings() + frame(HEADERS, END_HEADERS, 1, GRPC_HEAD) + frame(RST, 0, 1, b"\0\0\0\x08") +
    grpc_call(3) + frame(RST, 0, 3, b"\0\0\0\x08") + frame(GOAWAY, 0, 0, b"\0" * 8),
    settings() + frame(HEADERS, END_HEADERS, 1, JSON_HEAD.replace(b"\x83", b"\x82", 1)) +
    frame(PRIORITY, 0, 1, b"\0\0\0\0\x10") +
    frame(HEADERS, END_HEADERS | END_STREAM, 1, header("x-trailer", "1")),
    settings() + frame(HEADERS, END_HEADERS, 1, STREAMED_HEAD) +
    frame(DATA, 0, 1, message(b"one") + message(b"")) +
    frame(DATA, END_STREAM, 1, message(b"two")) + grpc_call(3, STREAMED_HEAD, message(b"x" * 65)) +
    grpc_call(5, STREAMED_HEAD, message(b"cut")[:6]),
    settings() + frame(HEADERS, END_HEADERS | END_STREAM, 1, JSON_HEAD[1:] +
                       header(":method", "HEAD")),
]

ANSWER_HEAD = b"\x88" + header("content-type", "application/grpc", INDEXED_LITERAL)
HTTP2_CLIENT = [
    settings() + frame(SETTINGS, 1, 0) + frame(HEADERS, END_HEADERS, 1, ANSWER_HEAD) +
    frame(DATA, 0, 1, message(field(1, "order-1"))) +
    frame(HEADERS, END_HEADERS | END_STREAM, 1, header("grpc-status", "0") +
          header("zandaka-replayed", "true")),
    settings() + frame(HEADERS, END_HEADERS | END_STREAM, 1, ANSWER_HEAD +
                       header("grpc-status", "9") + header("grpc-message", "100%25 %E6%AE%8B %") +
                       header("grpc-status-details-bin", "CAkSAXg")),
    settings() + frame(HEADERS, END_HEADERS, 3, ANSWER_HEAD) + frame(DATA, 0, 3, b"\0\0\0\0") +
    frame(RST, 0, 3, b"\0\0\0\x07") + frame(GOAWAY, 0, 0, struct.pack(">II", 1, 0)),
    settings(streams=1) + frame(HEADERS, END_HEADERS | END_STREAM, 1, header(":status", "503") +
                                header("content-type", "text/html")),
    settings() + frame(HEADERS, END_HEADERS, 1, header(":status", "103")) +
    frame(HEADERS, END_HEADERS, 1, ANSWER_HEAD) +
    frame(DATA, PADDED, 1, b"\2" + message(b"x") + b"\0\0") +
    frame(HEADERS, END_HEADERS | END_STREAM, 1, header("grpc-status", "16")),
]

# --- text ---

POST_1 = "POST /p HTTP/1.1\r\nHost: h\r\n"
HTTP1 = [
    "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n",
    POST_1 + "Content-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n\r\n{}",
    POST_1 + "Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\n"
    "X-Trailer: 1\r\n\r\n",
    POST_1 + "Content-Length: 1\r\n\r\na" + POST_1 + "Content-Length: 1\r\n\r\nb"
    "GET http://h/c?d HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nHEAD /b HTTP/1.0\r\n\r\n",
    POST_1 + "Expect: 100-continue\r\nContent-Length: 1\r\n\r\na",
    POST_1 + "Connect-Timeout-Ms: 1500\r\nX-A:  b\t\r\n\r\n\r\nHEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
    POST_1 + "Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r",
    POST_1 + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
    "GET / HTTP/1.1\nHost: h\n\n",
]

CSV_HEAD = "transaction_id,operation,account_id,kind,amount"
IMPORT = [
    (0, CSV_HEAD + "\nt1,add,a,points,100\nt2,consume,b,money,1000000000000000\n"),
    (0, "\ufeff" + CSV_HEAD + ',description\r\n"t,1",add,"a""b",points,5,"two\n\nlines"\r\n'),
    (0, CSV_HEAD + "\n\n\nt1,add,a,points,1"),
    (7, "transaction_id,operation,account_id,sum,after\nt1,add,a,5,5\nt2,add,a,6,-11\n"),
    (4, CSV_HEAD + ",after\nt1,add,a,points,5,9223372036854775807\n"),
]

CONFIG = [
    "[server]\nlisten = 127.0.0.1:8630\n[store]\nurl = rocksdb:/var/lib/zandaka\n\n"
    "[kind.points]\nmax_balance = 1000000\nmax_amount = 1000\n; a comment\n[kind.money] # one\n"
    "withdrawn = yes\n",
    "\ufeff[kind.a-b_c]\r\n  max_balance : 9223372036854775807 ; not more\r\n\r\n# end",
    "[store]\nurl=memory:\n[server]\nlisten=[::1]:0\n",
]

CALLERS = [
    "; who may call\n[caller.campaign]\ntoken_sha256 = " + "9f" * 32 + " ; since May\n"
    "methods = Add,Cancel , GetTransaction\nkinds = points\nids = campaign-, promo-\nrate = 500\n"
    "[caller.payment]\ntoken_sha256 = " + "a0" * 32 + ", " + "b1" * 32 + "\n"
    "certificate_names = Payment.Internal, spiffe://example.org/Payment\n",
    "[caller.a]\ncertificate_names=a\n[caller.b]\ncertificate_names=b,c\nids=x\nmethods=Submit\n",
]


def token_filter(position: int, operations: int, account_id: str, kind: str) -> bytes:
    return (struct.pack(">Q", position) + bytes([operations, len(account_id)]) +
            account_id.encode() + bytes([len(kind)]) + kind.encode())


PAGE_TOKEN = [
    token_filter(102, 0, "alice", "") + b"\0" * 22,
    token_filter(2**64 - 1, 3, "bob", "points") + b"AAAAAAAAADNHt2U1bQ9Cxg",
    token_filter(0, 255, "", "money") + b"\0\0\x20",
]

RECORD = [
    field(1, "order-1") + field(2, 1) + field(3, 1) + field(4, "alice") +
    field(5, field(1, "alice") + field(2, "points") + field(3, 100)) +
    field(7, timestamp(1764000000, 5000)) + field(8, "text"),
    field(1, "order-1") + field(2, 2) + field(3, 3) + field(7, timestamp(1764000000, 0)),
]


def options(inputs, *choices):
    return [bytes(choice) + each for each in inputs for choice in choices]


def encoded(texts):
    return [each.encode() for each in texts]


TARGETS = {
    "http1": options(encoded(HTTP1), (0, 128), (1, 255), (6, 100), (16, 0)),
    "http2_server": options(HTTP2_SERVER, (0, 128), (1, 255), (6, 100), (9, 0), (17, 50)),
    "http2_client": options(HTTP2_CLIENT, (0, 1), (7, 2)),
    "json": [bytes([number]) + each for number, each in enumerate(encoded(JSON))],
    "protobuf": [bytes([number]) + each for number, each in enumerate(PROTOBUF)],
    "import": [bytes([columns]) + each.encode() for columns, each in IMPORT],
    "config": encoded(CONFIG),
    "callers": encoded(CALLERS),
    "page_token": PAGE_TOKEN,
    "record": RECORD,
}


def main() -> None:
    for target, seeds in TARGETS.items():
        folder = pathlib.Path(sys.argv[1]) / f"fuzz_{target}"
        folder.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds):
            (folder / f"seed-{number:02}").write_bytes(seed)


if __name__ == "__main__":
    main()
