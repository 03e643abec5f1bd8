"""Instances, databases and their schema. Operations are done when they are asked about, not before."""
import contextlib

import grpc

from rows import Refused


class Admin:
    def __init__(self, types, service):
        self.types = types
        self.service = service
        self.operations = {}
        self.instances = set()

    @contextlib.contextmanager
    def answering(self, context):
        refused = None
        with self.service.lock:
            try:
                yield
            except Refused as error:
                refused = error
        if refused is not None:
            context.abort(grpc.StatusCode[refused.status], refused.message)

    def start(self, parent, refused=None):
        name = f"{parent}/operations/o{len(self.operations) + 1}"
        self.operations[name] = refused
        return self.types.Operation(name=name)

    def get_operation(self, request, context):
        with self.answering(context):
            if request.name not in self.operations:
                raise Refused("NOT_FOUND", f"Operation not found: {request.name}")
            refused = self.operations[request.name]
            answer = self.types.Operation(name=request.name, done=True)
            if refused is not None:
                answer.error.code = grpc.StatusCode[refused.status].value[0]
                answer.error.message = refused.message
            return answer
        return None

    def create_instance(self, request, context):
        with self.answering(context):
            name = f"{request.parent}/instances/{request.instance_id}"
            if name in self.instances:
                raise Refused("ALREADY_EXISTS", f"Instance already exists: {name}")
            self.instances.add(name)
            return self.start(name)
        return None

    def create_database(self, request, context):
        with self.answering(context):
            if request.parent not in self.instances:
                raise Refused("NOT_FOUND", f"Instance not found: {request.parent}")
            identifier = request.create_statement.split()[-1].strip("`")
            name = f"{request.parent}/databases/{identifier}"
            self.service.create_database(name, request.extra_statements)
            return self.start(name)
        return None

    def database(self, name):
        if name not in self.service.databases:
            raise Refused("NOT_FOUND", f"Database not found: {name}")
        return self.service.databases[name]

    def update_ddl(self, request, context):
        with self.answering(context):
            database = self.database(request.database)
            refused = None
            try:
                database.apply(request.statements)
            except Refused as error:
                refused = error
            return self.start(request.database, refused)
        return None

    def get_ddl(self, request, context):
        with self.answering(context):
            return self.types.GetDatabaseDdlResponse(
                statements=self.database(request.database).statements)
        return None
