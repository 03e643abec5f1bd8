#!/usr/bin/env python3
"""Our subset of Cloud Spanner's proto files against the published ones: test_spanner_published.py BUILD

Every message, field, enum value and method of proto/google/spanner and proto/google/longrunning must
be published under the same name, with the same number, type, label and oneof. The published ones
come by npm into BUILD/published, checked against a hash. Exit status 77, with the reason, where they
cannot be had.

Then each thing that is compared is changed in a copy of what is published, and must be found out.
"""
import copy
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tarfile

from google.protobuf import descriptor_pb2

PACKAGE = "@google-cloud/spanner-api@0.2.0"
SHA256 = "9939628fa5b8cbb82871fb2739fa06c8e0496be14de6a5dc18df6b3f1be06cee"
SOURCE = pathlib.Path(__file__).resolve().parents[2]

TYPES = {number: name.removeprefix("TYPE_").lower()
         for name, number in descriptor_pb2.FieldDescriptorProto.Type.items()}


def skip(why):
    print(f"SKIPPED: {why}", file=sys.stderr)
    sys.exit(77)


# --- the published ones ---

def fetch(work):
    """The published protos as protobufjs writes them in JSON: what `nested` holds, by name."""
    work.mkdir(parents=True, exist_ok=True)
    kept = work / "spanner-api.tgz"
    if not kept.exists() or hashlib.sha256(kept.read_bytes()).hexdigest() != SHA256:
        try:
            done = subprocess.run(["npm", "pack", "--silent", "--cache", str(work / "cache"), PACKAGE],
                                  cwd=work, capture_output=True, text=True)
        except FileNotFoundError:
            skip("there is no npm: apt-get install npm")
        if done.returncode != 0:
            skip(f"{PACKAGE} cannot be had: {done.stderr.strip().splitlines()[-1:]}")
        (work / done.stdout.split()[-1]).rename(kept)
    found = hashlib.sha256(kept.read_bytes()).hexdigest()
    if found != SHA256:
        sys.exit(f"{PACKAGE} has the hash {found}, not the known one")
    with tarfile.open(kept) as archive:
        return json.load(archive.extractfile("package/build/protos/protos.json"))


def published_names(node, prefix="", into=None):
    """Every message, enum and service by its full name."""
    into = {} if into is None else into
    for name, child in node.get("nested", {}).items():
        full = f"{prefix}.{name}" if prefix else name
        into[full] = child
        published_names(child, full, into)
    return into


def resolve(names, scope, type_name):
    """The full name of a type that is named within a scope, as protobuf has it."""
    while True:
        full = f"{scope}.{type_name}" if scope else type_name
        if full in names:
            return full
        if not scope:
            return type_name  # a scalar, or one of google.protobuf's that is not among them
        scope = scope.rpartition(".")[0]


# --- ours ---

def our_files():
    folders = [SOURCE / "proto/google/spanner", SOURCE / "proto/google/longrunning"]
    files = sorted(str(path) for folder in folders for path in folder.rglob("*.proto"))
    if not files:
        sys.exit("there is no proto file to compare")
    return files


def describe(files, work):
    out = work / "ours.binpb"
    subprocess.run(["protoc", f"-I{SOURCE}/proto", "-I/usr/include", f"--descriptor_set_out={out}",
                    *files], check=True)
    return descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())


def json_name(name):
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


class Comparison:
    def __init__(self, names):
        self.names = names
        self.complaints = []
        self.counts = {"messages": 0, "fields": 0, "enum values": 0, "methods": 0}

    def expect(self, where, ours, published):
        if ours != published:
            self.complaints.append(f"{where}: ours {ours}, published {published}")

    def file(self, file):
        for message in file.message_type:
            self.message(message, f"{file.package}.{message.name}")
        for enum in file.enum_type:
            self.enum(enum, f"{file.package}.{enum.name}")
        for service in file.service:
            self.service(service, f"{file.package}.{service.name}", file.package)

    def find(self, full, part):
        node = self.names.get(full)
        if node is None or part not in node:
            self.complaints.append(f"{full}: not published")
            return None
        return node[part]

    def message(self, message, full):
        self.counts["messages"] += 1
        fields = self.find(full, "fields")
        if fields is None:
            return
        oneofs = {name: oneof for oneof, content in self.names[full].get("oneofs", {}).items()
                  for name in content["oneof"]}
        for field in message.field:
            self.field(message, field, full, fields.get(json_name(field.name)), oneofs)
        for nested in message.nested_type:
            if not nested.options.map_entry:
                self.message(nested, f"{full}.{nested.name}")
        for enum in message.enum_type:
            self.enum(enum, f"{full}.{enum.name}")

    def field(self, message, field, full, published, oneofs):
        self.counts["fields"] += 1
        where = f"{full}.{field.name}"
        if published is None:
            self.complaints.append(f"{where}: not published")
            return
        self.expect(f"{where}: number", field.number, published["id"])
        entry = next((nested for nested in message.nested_type if nested.options.map_entry and
                      field.type_name == f".{full}.{nested.name}"), None)
        if entry:
            self.expect(f"{where}: key", self.type_of(entry.field[0]), published.get("keyType"))
            self.expect(f"{where}: type", self.type_of(entry.field[1]),
                        resolve(self.names, full, published["type"]))
            return
        self.expect(f"{where}: key", None, published.get("keyType"))
        self.expect(f"{where}: type", self.type_of(field),
                    resolve(self.names, full, published["type"]))
        repeated = field.label == descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
        self.expect(f"{where}: repeated", repeated, published.get("rule") == "repeated")
        # A oneof of which we use a single field may be left out: on the wire there is none.
        theirs = oneofs.get(json_name(field.name))
        if field.HasField("oneof_index"):
            self.expect(f"{where}: oneof",
                        json_name(message.oneof_decl[field.oneof_index].name), theirs)
        elif theirs and sum(oneofs.get(json_name(other.name)) == theirs
                            for other in message.field) > 1:
            self.expect(f"{where}: oneof", None, theirs)

    @staticmethod
    def type_of(field):
        return field.type_name.removeprefix(".") or TYPES[field.type]

    def enum(self, enum, full):
        values = self.find(full, "values")
        for value in enum.value if values is not None else ():
            self.counts["enum values"] += 1
            self.expect(f"{full}.{value.name}", value.number, values.get(value.name))

    def service(self, service, full, package):
        methods = self.find(full, "methods")
        for method in service.method if methods is not None else ():
            self.counts["methods"] += 1
            where = f"{full}.{method.name}"
            published = methods.get(method.name)
            if published is None:
                self.complaints.append(f"{where}: not published")
                continue
            self.expect(f"{where}: request", method.input_type.removeprefix("."),
                        resolve(self.names, package, published["requestType"]))
            self.expect(f"{where}: response", method.output_type.removeprefix("."),
                        resolve(self.names, package, published["responseType"]))
            self.expect(f"{where}: request is a stream", method.client_streaming,
                        published.get("requestStream", False))
            self.expect(f"{where}: response is a stream", method.server_streaming,
                        published.get("responseStream", False))


def compare(ours, published):
    comparison = Comparison(published_names(published))
    for file in ours.file:
        comparison.file(file)
    return comparison


# --- that it can fail ---

def breaks(published):
    """Copies of what is published, each with one thing changed that our protos use."""
    spanner = "google.spanner.v1."
    changes = {
        "a number": lambda names: names[spanner + "CommitRequest"]["fields"]["mutations"]
        .update(id=44),
        "a type": lambda names: names[spanner + "PartialResultSet"]["fields"]["chunkedValue"]
        .update(type="bytes"),
        "a message's type": lambda names: names[spanner + "ReadRequest"]["fields"]["keySet"]
        .update(type="KeyRange"),
        "a label": lambda names: names[spanner + "PartialResultSet"]["fields"]["values"]
        .pop("rule"),
        "a name": lambda names: names[spanner + "Session"]["fields"].pop("multiplexed"),
        "a oneof": lambda names: names[spanner + "TransactionSelector"]["oneofs"].clear(),
        "a message": lambda names: names[spanner + "Mutation"]["nested"].pop("Write"),
        "a method": lambda names: names[spanner + "Spanner"]["methods"].pop("Commit"),
        "a stream": lambda names: names[spanner + "Spanner"]["methods"]["StreamingRead"]
        .pop("responseStream"),
        "an answer": lambda names: names[spanner + "Spanner"]["methods"]["BeginTransaction"]
        .update(responseType="Session"),
    }
    for what, change in changes.items():
        broken = copy.deepcopy(published)
        change(published_names(broken))
        yield what, broken


def main():
    work = pathlib.Path(sys.argv[1]) / "published"
    published = fetch(work)
    ours = describe(our_files(), work)
    comparison = compare(ours, published)
    for complaint in comparison.complaints:
        print(complaint)
    print(", ".join(f"{count} {what}" for what, count in comparison.counts.items()),
          f"as in {PACKAGE}: {len(comparison.complaints)} differ")
    missed = [what for what, broken in breaks(published)
              if len(compare(ours, broken).complaints) == len(comparison.complaints)]
    for what in missed:
        print(f"the comparison does not see that {what} is changed")
    return 1 if comparison.complaints or missed else 0


if __name__ == "__main__":
    sys.exit(main())
