#!/usr/bin/python3
"""Writes the OpenAPI 3.1 document of the JSON API from what defines it: the proto files' descriptors
and comments, the limits of src/base/limits.h and the table of errors of src/base/error.c.

    scripts/openapi.py            writes proto/zandaka/v1/balance_service.openapi.json
    scripts/openapi.py --check    exits 1 when that file is not what would be written
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "proto/zandaka/v1/balance_service.openapi.json"
SERVICE = "zandaka.v1.BalanceService"
FIELD = descriptor_pb2.FieldDescriptorProto
FIELD_BEHAVIOR, REQUIRED = 1052, 2


def limits():
    """The plain numbers of src/base/limits.h, by name without `BASE_`."""
    text = (ROOT / "src/base/limits.h").read_text()
    return {name: int(value) for name, value in
            re.findall(r"#define BASE_(\w+) (?:INT64_C\()?(\d+)\)?\n", text)}


LIMIT = limits()
ID = {"minLength": 1, "maxLength": LIMIT["ID_MAX_BYTES"], "pattern": "^[!-~]+$"}
OWN_ID = {**ID, "pattern": "^(?!zandaka:)[!-~]+$"}
KIND = {"pattern": "^[a-z][a-z0-9_-]{0,%d}$" % (LIMIT["KIND_MAX_BYTES"] - 1)}
LABELS = {"maxProperties": LIMIT["METADATA_MAX"],
          "propertyNames": {"minLength": 1, "maxLength": LIMIT["METADATA_KEY_MAX_BYTES"],
                            "pattern": "^[ -~]+$"},
          "additionalProperties": {"type": "string",
                                   "maxLength": LIMIT["METADATA_VALUE_MAX_BYTES"]}}
DESCRIPTION = {"maxLength": LIMIT["DESCRIPTION_MAX_BYTES"]}
AMOUNTS = {"minItems": 1, "maxItems": LIMIT["AMOUNTS_MAX"]}

# What a request's field may be, beyond its type. Units and further rules are in the comments.
RANGES = {
    "Amount.kind": KIND,
    "CancelRequest.transaction_id": OWN_ID,
    "SubmitRequest.commands": {"minItems": 1, "maxItems": LIMIT["SUBMIT_MAX"]},
    "GetBalanceRequest.account_id": ID,
    "BatchGetBalancesRequest.account_ids":
        {"minItems": 1, "maxItems": LIMIT["BATCH_GET_MAX"], "items": {"type": "string", **ID}},
    "GetTransactionRequest.transaction_id": ID,
    "ListEntriesRequest.account_id": ID,
    "ListEntriesRequest.kinds": {"maxItems": LIMIT["KINDS_MAX"],
                                 "items": {"type": "string", **KIND}},
    "ListEntriesRequest.operations": {"maxItems": LIMIT["FILTER_OPERATIONS_MAX"]},
    "ListEntriesRequest.page_size": {"minimum": 0},
    "ListEntriesRequest.page_token": {"maxLength": LIMIT["PAGE_TOKEN_MAX_BYTES"]},
}
for message in ("AddRequest", "ConsumeRequest"):
    RANGES.update({f"{message}.transaction_id": OWN_ID, f"{message}.account_id": ID,
                   f"{message}.amounts": AMOUNTS, f"{message}.description": DESCRIPTION,
                   f"{message}.metadata": LABELS})

# A number must be written in plain digits, which JSON Schema cannot say: not 1.0, not 1e3.
AMOUNT_IN = {"anyOf": [
    {"type": "string", "pattern": "^[1-9][0-9]{0,15}$"},
    {"type": "integer", "minimum": 1, "maximum": LIMIT["AMOUNT_MAX"]}]}
INT64_OUT = {"type": "string", "pattern": "^(0|-?[1-9][0-9]*)$"}
TIMESTAMP = {"type": "string", "format": "date-time"}
STATUS = {"type": "object", "description": "A google.rpc.Status, as ProtoJSON writes it.",
          "required": ["code", "message", "details"],
          "properties": {"code": {"type": "integer"}, "message": {"type": "string"},
                         "details": {"type": "array", "items": {
                             "type": "object", "required": ["@type"],
                             "properties": {"@type": {"type": "string"}}}}}}


def errors():
    """{HTTP status: [(reason, applied, retry)]} of the table in src/base/error.c."""
    text = (ROOT / "src/base/error.c").read_text()
    codes = {name: int(status) for name, status in
             re.findall(r"#define (\w+) BASE_CODE_\w+, (\d+),", text)}
    rows = re.findall(r'\{"(\w+)",\s*(\w+),\s*"(\w+)",\s*"(\w+)",', text)
    assert len(rows) == len(re.findall(r"\[BASE_REASON_\w+\] =", text)) - 1, "a row of the errors was not understood"
    found = {}
    for reason, code, applied, retry in rows:
        if reason not in ("UNKNOWN_SERVICE",):  # gRPC's health service alone
            found.setdefault(codes[code], []).append((reason, applied, retry))
    return found


def descriptors():
    """The descriptors of the API's own files, and their comments by path."""
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run(["protoc", "-I", ROOT / "proto", "--include_imports",
                        "--include_source_info", f"--descriptor_set_out={file.name}",
                        "zandaka/v1/balance_service.proto"], check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(file.read())
    return {each.name: each for each in files.file if each.package == "zandaka.v1"}


class Document:
    def __init__(self):
        self.comments, self.messages, self.enums, self.service = {}, {}, {}, None
        for file in descriptors().values():
            notes = {tuple(place.path): " ".join(place.leading_comments.split())
                     for place in file.source_code_info.location if place.leading_comments}
            for i, message in enumerate(file.message_type):
                self.messages[message.name] = message
                self.comments[message.name] = notes[4, i]
                for j, field in enumerate(message.field):
                    self.comments[f"{message.name}.{field.name}"] = notes[4, i, 2, j]
            for i, enum in enumerate(file.enum_type):
                self.enums[enum.name] = enum
                self.comments[enum.name] = notes[5, i]
            for i, service in enumerate(file.service):
                self.service = service
                self.comments[service.name] = notes[6, i]
                for j, method in enumerate(service.method):
                    self.comments[f"{service.name}.{method.name}"] = notes[6, i, 2, j]
        self.schemas = {}

    def reference(self, type_name, is_request):
        """A schema of that type; it joins the components with all that it needs."""
        name = type_name.rsplit(".", 1)[1]
        if type_name == ".google.protobuf.Timestamp":
            return TIMESTAMP
        if type_name == ".google.rpc.Status":
            return STATUS
        if name not in self.schemas:
            self.schemas[name] = {}  # the place, in case that a message contains itself
            self.schemas[name] = (self.enum(name) if name in self.enums
                                  else self.message(name, is_request))
        return {"$ref": f"#/components/schemas/{name}"}

    def enum(self, name):
        return {"type": "string", "description": self.comments[name],
                "enum": [value.name for value in self.enums[name].value if value.number != 0]}

    def message(self, name, is_request):
        message = self.messages[name]
        schema = {"type": "object", "description": self.comments[name], "properties": {}}
        required = []
        for field in message.field:
            schema["properties"][field.json_name] = self.field(name, field, is_request)
            if self.is_required(field, is_request):
                required.append(field.json_name)
        if required:
            schema["required"] = required
        if message.oneof_decl:
            schema["oneOf"] = [{"required": [field.json_name]} for field in message.field
                               if field.HasField("oneof_index")]
        if is_request:
            schema["additionalProperties"] = False
        return schema

    @staticmethod
    def is_required(field, is_request):
        """In a request what is marked so; in an answer the numbers, which are always printed."""
        if is_request:
            behaviors = [value for number, value in unknown_varints(field.options)
                         if number == FIELD_BEHAVIOR]
            return REQUIRED in behaviors
        return field.type == FIELD.TYPE_INT64 and not field.HasField("oneof_index")

    def field(self, message, field, is_request):
        name = f"{message}.{field.name}"
        entry = self.messages_entry(message, field)
        if entry:
            schema = {"type": "object", "additionalProperties": {"type": "string"}}
        else:
            schema = self.value(field, is_request)
            if field.label == FIELD.LABEL_REPEATED:
                schema = {"type": "array", "items": schema}
        if is_request:
            schema.update(RANGES.get(name, {}))
        return {"description": self.comments[name], **schema}

    def messages_entry(self, message, field):
        """Whether the field is a map."""
        return any(nested.options.map_entry and field.type_name.endswith("." + nested.name)
                   for nested in self.messages[message].nested_type)

    def value(self, field, is_request):
        if field.type in (FIELD.TYPE_MESSAGE, FIELD.TYPE_ENUM):
            return dict(self.reference(field.type_name, is_request))
        if field.type == FIELD.TYPE_INT64:
            return dict(AMOUNT_IN if is_request else INT64_OUT)
        return dict({FIELD.TYPE_STRING: {"type": "string"}, FIELD.TYPE_BOOL: {"type": "boolean"},
                     FIELD.TYPE_INT32: {"type": "integer", "minimum": -2**31,
                                        "maximum": 2**31 - 1}}[field.type])

    def operation(self, method):
        comment = self.comments[f"{self.service.name}.{method.name}"]
        success = {"description": "It is done, now or before.",
                   "content": json_of(self.reference(method.output_type, False))}
        if method.output_type.endswith(".Transaction") and not is_read(method):
            success["headers"] = {"Zandaka-Replayed": {
                "description": "`true` when it had succeeded before.",
                "schema": {"const": "true"}}}
        return {"post": {
            "operationId": method.name, "summary": comment.split(". ")[0].split(";")[0].rstrip("."),
            "description": comment, "tags": [self.service.name],
            "parameters": [{
                "name": "connect-timeout-ms", "in": "header", "required": False,
                "description": "The deadline of this call, in milliseconds from now.",
                "schema": {"type": "string", "pattern": "^[0-9]{1,10}$"}}],
            "requestBody": {"required": True,
                            "content": json_of(self.reference(method.input_type, True))},
            "responses": {"200": success, **{
                str(status): {"$ref": f"#/components/responses/{status}"}
                for status in sorted({*errors(), 405, 415, 431})}}}}

    def build(self):
        paths = {f"/{SERVICE}/{method.name}": self.operation(method)
                 for method in self.service.method
                 if not method.client_streaming and not method.server_streaming}
        paths.update({f"/{name}": health(name, told) for name, told in (
            ("livez", "Whether the process runs."),
            ("readyz", "Whether it takes calls: not while it drains, or has no store."))})
        version = re.search(r"project\(zandaka VERSION (\S+)",
                            (ROOT / "CMakeLists.txt").read_text())[1]
        return {
            "openapi": "3.1.0",
            "info": {"title": "zandaka", "version": version,
                     "summary": "A balance service that never moves the same money twice.",
                     "description": self.comments[self.service.name]},
            "servers": [{"url": "http://127.0.0.1:8630"}],
            "tags": [{"name": self.service.name}],
            "paths": paths,
            "components": {"schemas": {**dict(sorted(self.schemas.items())), "Error": error()},
                           "responses": responses()}}


def unknown_varints(options):
    """(field number, value) of extensions that this program has no code for: google.api's."""
    data = options.SerializeToString()
    at = 0

    def varint():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    found = []
    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            found.append((tag >> 3, varint()))
        else:  # length-delimited: numbers one after another, as field_behavior is packed
            end = varint() + at
            while at < end:
                found.append((tag >> 3, varint()))
    return found


def is_read(method):
    return method.options.idempotency_level == descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS


def json_of(schema):
    return {"application/json": {"schema": schema}}


def health(name, told):
    text = {"text/plain": {"schema": {"type": "string"}}}
    return {"get": {"operationId": name, "summary": told.rstrip("."), "tags": ["health"],
                    "responses": {"200": {"description": "`ok`", "content": text},
                                  "503": {"description": "The reason, in words.",
                                          "content": text}}}}


def error():
    """Connect's error, as every method answers it."""
    return {
        "type": "object", "required": ["code", "message"],
        "description": "What went wrong. Decide by `retry` in the metadata of the ErrorInfo.",
        "properties": {
            "code": {"type": "string", "description": "gRPC's code, in lower case."},
            "message": {"type": "string", "description": "For people; it may change."},
            "details": {"type": "array", "items": {
                "type": "object", "required": ["type", "value"],
                "properties": {
                    "type": {"type": "string",
                             "description": "google.rpc.ErrorInfo, BadRequest or RetryInfo."},
                    "value": {"type": "string", "description": "The detail as protobuf, base64."},
                    "debug": {"type": "object", "description":
                              "The same, readable. An ErrorInfo has `reason`, `domain` and "
                              "`metadata` with `applied` and `retry`."}}}}}}


def responses():
    found = {}
    for status, rows in sorted(errors().items()):
        listed = "\n".join(f"- `{reason}`: applied `{applied}`, retry `{retry}`"
                           for reason, applied, retry in rows)
        found[str(status)] = {"description": listed, "content": json_of(
            {"$ref": "#/components/schemas/Error"})}
    for status, told in ((405, "Not a POST."), (415, "Not application/json in UTF-8."),
                         (431, "The head is above 16 KiB.")):
        found[str(status)] = {"description": told, "content": json_of(
            {"$ref": "#/components/schemas/Error"})}
    return found


def main():
    text = json.dumps(Document().build(), indent=2, ensure_ascii=False) + "\n"
    if sys.argv[1:] == ["--check"]:
        if not DOCUMENT.exists() or DOCUMENT.read_text() != text:
            sys.exit(f"{DOCUMENT.relative_to(ROOT)} is out of date: run scripts/openapi.py")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        DOCUMENT.write_text(text)


if __name__ == "__main__":
    main()
