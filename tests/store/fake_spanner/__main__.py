"""A FAKE of Cloud Spanner, for what its official emulator lacks: multiplexed sessions, precommit
tokens, RetryInfo, and answers that are lost. It was written from the published API and its
documentation, not from Spanner, which nobody could ask here: what is proven on it is proven on it.

    python3 tests/store/fake_spanner PROTO [CERTIFICATE KEY]

It speaks gRPC on a free port of the loopback interface with the messages of the proto folder that is
named: in plaintext, as the emulator does, or with a certificate over TLS, and then each call must
say who it is. It says `ready HOST:PORT`, then obeys one command a
line on standard input, answers each with one line, and ends when the input does:

    multiplexed yes|no      what sessions it gives from now on
    database NAME           makes an empty database, and its instance
    table NAME STATEMENT    makes a table in it
    spoil NAME TABLE COLUMN VALUE   puts a value, as Python writes it, into that column of every row of
                            the table, whatever schema and checks say; a text goes out as it is
    revoke                  refuses all tokens that were shown so far
    seed N                  of what is random
    rate METHOD FAULT P     the share of the method's calls that get the fault (faults.py has them)
    script METHOD FAULT N   the next N calls of the method get the fault; `none`: they are let be
    delay MS                what aborted transactions are asked to wait, by RetryInfo
    clear                   no more faults, no token is revoked, and everything is counted anew
    cut                     closes all connections
    count calls METHOD      how many there were
    count faults METHOD F   how many calls got the fault; without names, how many got any
    count begun             how many transactions were begun by a read
    count previous          how many transactions named the attempt before
    count violations        how often a client broke a rule; standard error says which

Exit status 77, with the reason, where Python's gRPC or protoc is not installed.
"""
import ast
import concurrent.futures
import pathlib
import shutil
import subprocess
import sys
import tempfile
import types as python_types

try:
    import grpc
except ImportError:
    sys.exit(print("SKIPPED: there is no python3-grpcio", file=sys.stderr) or 77)
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from admin import Admin
from proxy import Proxy
from service import Service

FILES = ("google/spanner/v1/spanner.proto", "google/rpc/error_details.proto",
         "google/spanner/admin/database/v1/spanner_database_admin.proto",
         "google/spanner/admin/instance/v1/spanner_instance_admin.proto",
         "google/longrunning/operations.proto")
THREADS = 64


def load(folder):
    """Every message by its short name, and a function that finds a method's messages."""
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["protoc", f"-I{folder}", "-I/usr/include", "--include_imports",
                        f"--descriptor_set_out={out.name}", *FILES], check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(out.name).read_bytes()).file
    pool = descriptor_pool.DescriptorPool()
    for file in files:
        pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    named = {}
    for file in files:
        for message in file.message_type:
            full = f"{file.package}.{message.name}"
            named[message.name] = factory.GetPrototype(pool.FindMessageTypeByName(full))

    def method_types(service, method):
        found = pool.FindServiceByName(service).methods_by_name.get(method)
        return found and (factory.GetPrototype(found.input_type), factory.GetPrototype(found.output_type))
    return python_types.SimpleNamespace(**named), method_types


def add_service(server, name, methods, method_types):
    handlers = {}
    for method, function in methods.items():
        messages = method_types(name, method)
        if messages is None:
            continue  # our protos do not have it
        make = grpc.unary_stream_rpc_method_handler if method == "StreamingRead" \
            else grpc.unary_unary_rpc_method_handler
        handlers[method] = make(function, request_deserializer=messages[0].FromString,
                                response_serializer=messages[1].SerializeToString)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))


def obey(words, service, admin, proxy):
    with service.lock:
        if words[0] == "count":
            return str(service.count(words[1], " ".join(words[2:])))
        if words[0] == "clear":
            service.clear()
            return "done"
        if words[0] == "multiplexed":
            service.multiplexed = words[1] == "yes"
        elif words[0] == "database":
            admin.instances.add(words[1].rpartition("/databases/")[0])
            service.create_database(words[1], [])
        elif words[0] == "table":
            service.databases[words[1]].apply([" ".join(words[2:])])
        elif words[0] == "spoil":
            service.databases[words[1]].spoil(*words[2:4], ast.literal_eval(" ".join(words[4:])))
        elif words[0] == "revoke":
            service.revoked_tokens |= service.shown_tokens
        elif words[0] == "seed":
            service.faults.seed(int(words[1]))
        elif words[0] == "rate":
            service.faults.set_rate(words[1], words[2], float(words[3]))
        elif words[0] == "script":
            service.faults.add(words[1], words[2], int(words[3]))
        elif words[0] == "delay":
            service.delay_ms = int(words[1])
        elif words[0] == "cut":
            proxy.cut_all()
        else:
            raise ValueError(f"no such command: {words[0]}")
    return "done"


def listen(server, files):
    if not files:
        return server.add_insecure_port("127.0.0.1:0")
    certificate, key = (pathlib.Path(file).read_bytes() for file in files)
    return server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))


def main():
    if shutil.which("protoc") is None:
        print("SKIPPED: there is no protoc", file=sys.stderr)
        sys.exit(77)
    types, method_types = load(sys.argv[1])
    service = Service(types, lambda peer: proxy.cut(peer))
    admin = Admin(types, service)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(THREADS), options=[
        ("grpc.max_receive_message_length", 128 << 20), ("grpc.max_send_message_length", 128 << 20)])
    add_service(server, "google.spanner.v1.Spanner", {
        "CreateSession": service.create_session, "BeginTransaction": service.begin_transaction,
        "StreamingRead": service.streaming_read, "Commit": service.commit,
        "Rollback": service.rollback}, method_types)
    add_service(server, "google.spanner.admin.database.v1.DatabaseAdmin", {
        "CreateDatabase": admin.create_database, "UpdateDatabaseDdl": admin.update_ddl,
        "GetDatabaseDdl": admin.get_ddl}, method_types)
    add_service(server, "google.spanner.admin.instance.v1.InstanceAdmin", {
        "CreateInstance": admin.create_instance}, method_types)
    add_service(server, "google.longrunning.Operations", {
        "GetOperation": admin.get_operation}, method_types)
    port = listen(server, sys.argv[2:])
    service.wants_authorization = len(sys.argv) > 2
    server.start()
    proxy = Proxy(port)
    print(f"ready 127.0.0.1:{proxy.port}", flush=True)
    for line in sys.stdin:
        print(obey(line.split(), service, admin, proxy), flush=True)
    server.stop(None)


if __name__ == "__main__":
    main()
