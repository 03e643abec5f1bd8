#!/usr/bin/python3
"""Health and reflection as grpcio asks for them: their messages are put together from what the
server's own reflection tells, from nothing else."""
import signal
import unittest

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from server import Server

SERVING, NOT_SERVING, SERVICE_UNKNOWN = b"\x08\x01", b"\x08\x02", b"\x08\x03"
REFLECTION = "grpc.reflection.v1.ServerReflection"
SERVICES = ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection", "zandaka.v1.BalanceService"]


def text(number, value):
    """A field of a protobuf message."""
    assert len(value) < 128
    return bytes([number << 3 | 2, len(value)]) + value.encode()


class Services(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.__exit__, None, None, None)
        self.server.start()
        self.channel = grpc.insecure_channel(self.server.address)
        self.addCleanup(self.channel.close)

    def check(self, service):
        return self.channel.unary_unary("/grpc.health.v1.Health/Check")(text(1, service), timeout=30)

    def watch(self, service):
        call = self.channel.unary_stream("/grpc.health.v1.Health/Watch")(text(1, service))
        self.addCleanup(call.cancel)
        return call

    def test_check_tells_the_status_and_knows_the_services(self):
        for service in ["", *SERVICES]:
            self.assertEqual(self.check(service), SERVING)
        with self.assertRaises(grpc.RpcError) as raised:
            self.check("zandaka.v1.Nothing")
        self.assertEqual(raised.exception.code(), grpc.StatusCode.NOT_FOUND)

    def test_a_watch_hears_of_the_drain_and_is_ended_by_it(self):
        watches = [self.watch("") for _ in range(20)]
        unknown = self.watch("zandaka.v1.Nothing")
        self.assertEqual(next(unknown), SERVICE_UNKNOWN)
        for watch in watches:
            self.assertEqual(next(watch), SERVING)
        self.server.process.send_signal(signal.SIGTERM)
        for watch in watches:
            self.assertEqual(next(watch), NOT_SERVING)
        for watch in [*watches, unknown]:
            with self.assertRaises(grpc.RpcError) as raised:
                next(watch)
            self.assertEqual(raised.exception.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(self.server.process.wait(timeout=60), 0)

    def test_watches_come_and_go(self):
        for _ in range(300):
            watch = self.watch("")
            self.assertEqual(next(watch), SERVING)
            watch.cancel()
        with self.assertRaises(grpc.RpcError) as raised:
            next(self.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"\xff"))
        self.assertEqual(raised.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        call = self.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=0.2)
        with self.assertRaises(grpc.RpcError) as raised:
            self.assertEqual(list(call), [SERVING])
        self.assertEqual(raised.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
        self.assertEqual(self.check(""), SERVING)

    def ask(self, service, questions):
        return list(self.channel.stream_stream(f"/{service}/ServerReflectionInfo")(
            iter(questions), timeout=30))

    def pool_of(self, answer, wanted):
        """A pool of the files of an answer; `wanted` needs all of them."""
        pool = descriptor_pool.DescriptorPool()
        files = {}
        for each in self.raw_files(answer):
            file = descriptor_pb2.FileDescriptorProto.FromString(each)
            files[file.name] = file

        def add(name):
            file = files.pop(name, None)
            if file:
                for imported in file.dependency:
                    add(imported)
                pool.Add(file)
        add(wanted)
        self.assertEqual(files, {})
        return pool

    @staticmethod
    def raw_files(answer):
        """FileDescriptorResponse's bytes out of a ServerReflectionResponse, by hand."""
        def fields(data):
            at = 0

            def varint():
                nonlocal at
                value = shift = 0
                while True:
                    byte = data[at]
                    at += 1
                    value |= (byte & 127) << shift
                    shift += 7
                    if byte < 128:
                        return value
            while at < len(data):
                tag = varint()
                assert tag & 7 == 2, tag
                length = varint()
                yield tag >> 3, data[at:at + length]
                at += length
        response = next(value for number, value in fields(answer) if number == 4)
        return [value for number, value in fields(response) if number == 1]

    def test_reflection_tells_all_that_a_client_needs(self):
        for package in ["grpc.reflection.v1", "grpc.reflection.v1alpha"]:
            service = package + ".ServerReflection"
            answers = self.ask(service, [text(4, service), text(3, "no such file")])
            self.assertEqual(len(answers), 2)
            pool = self.pool_of(answers[0], package.replace(".", "/") + "/reflection.proto")
            response = message_factory.MessageFactory(pool).GetPrototype(
                pool.FindMessageTypeByName(package + ".ServerReflectionResponse"))
            parsed = response()
            parsed.ParseFromString(answers[1])
            self.assertEqual(parsed.error_response.error_code, grpc.StatusCode.NOT_FOUND.value[0])
            self.assertEqual(parsed.original_request.file_by_filename, "no such file")
            parsed = response()
            parsed.ParseFromString(self.ask(service, [text(7, "")])[0])
            self.assertEqual([each.name for each in parsed.list_services_response.service],
                             SERVICES)

    def test_a_call_by_nothing_but_reflection(self):
        (answer,) = self.ask(REFLECTION, [text(4, "zandaka.v1.BalanceService")])
        pool = self.pool_of(answer, "zandaka/v1/balance_service.proto")
        factory = message_factory.MessageFactory(pool)
        method = pool.FindServiceByName("zandaka.v1.BalanceService").methods_by_name["Add"]
        self.assertEqual(method.GetOptions().idempotency_level,
                         descriptor_pb2.MethodOptions.IDEMPOTENT)
        request = factory.GetPrototype(method.input_type)(transaction_id="t1", account_id="alice")
        request.amounts.add(kind="points", amount=7)
        response = factory.GetPrototype(method.output_type)
        record = self.channel.unary_unary(
            "/zandaka.v1.BalanceService/Add", request_serializer=lambda each: each.SerializeToString(),
            response_deserializer=response.FromString)(request, timeout=30)
        self.assertEqual((record.transaction_id, record.legs[0].amount), ("t1", 7))


if __name__ == "__main__":
    unittest.main()
