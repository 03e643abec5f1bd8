#include "api/reflection.h"

#include "api/codec.h"
#include "api/descriptors.h"

#include <google/protobuf/descriptor.pb-c.h>
#include <stdlib.h>
#include <string.h>

/* Of google.protobuf.FileDescriptorSet: the tag of a file, and of nothing else. */
#define TAG_FILE (1u << 3 | 2u)

struct file {
    struct base_bytes encoded; /* static: answered as it is, options that we do not know included */
    const Google__Protobuf__FileDescriptorProto *descriptor;
};

struct api_reflection {
    struct base_arena arena; /* the files and what they point to */
    size_t n_files;
    struct file *files;
};

/* --- opening --- */

/* Takes the next file of the set. False: there is none. */
static bool next_file(struct base_reader *set, struct base_bytes *ret_encoded)
{
    if (base_reader_done(set)) {
        return false;
    }
    uint64_t tag = base_read_varint(set);
    *ret_encoded = base_read_bytes(set, (size_t)base_read_varint(set));
    base_assert(tag == TAG_FILE && !set->failed);
    return true;
}

struct api_reflection *api_reflection_open(void)
{
    struct api_reflection *reflection = base_allocate_zeroed(1, sizeof *reflection);
    struct base_bytes set = {api_descriptors, api_descriptors_length};
    struct base_bytes encoded;
    struct base_reader reader = base_reader_of(set);
    size_t n_files = 0;
    while (next_file(&reader, &encoded)) {
        n_files++;
    }
    reflection->files = base_arena_take(&reflection->arena, n_files * sizeof(struct file));
    ProtobufCAllocator allocator = api_codec_allocator(&reflection->arena);
    reader = base_reader_of(set);
    while (next_file(&reader, &encoded)) {
        const Google__Protobuf__FileDescriptorProto *descriptor =
            google__protobuf__file_descriptor_proto__unpack(&allocator, encoded.length,
                                                            encoded.bytes);
        base_assert(descriptor != NULL);
        reflection->files[reflection->n_files++] = (struct file){encoded, descriptor};
    }
    return reflection;
}

void api_reflection_close(struct api_reflection *reflection)
{
    base_arena_release(&reflection->arena);
    free(reflection);
}

/* --- what a file declares --- */

/* The first name of a path `A.b.c`; *path goes on behind it, empty at the end. */
static struct base_text take_name(struct base_text *path)
{
    const char *dot = path->length > 0 ? memchr(path->bytes, '.', path->length) : NULL;
    struct base_text name = *path;
    if (dot == NULL) {
        *path = BASE_TEXT("");
        return name;
    }
    name.length = (size_t)(dot - path->bytes);
    path->bytes += name.length + 1;
    path->length -= name.length + 1;
    return name;
}

static bool is_named(const char *name, struct base_text wanted)
{
    return base_text_equal(base_text_of(name), wanted);
}

static bool fields_have(size_t n_fields, Google__Protobuf__FieldDescriptorProto *const *fields,
                        struct base_text name)
{
    for (size_t i = 0; i < n_fields; i++) {
        if (is_named(fields[i]->name, name)) {
            return true;
        }
    }
    return false;
}

static bool enums_have(size_t n_enums, Google__Protobuf__EnumDescriptorProto *const *enums,
                       struct base_text name)
{
    for (size_t i = 0; i < n_enums; i++) {
        if (is_named(enums[i]->name, name)) {
            return true;
        }
    }
    return false;
}

static bool messages_have(size_t n_messages, Google__Protobuf__DescriptorProto *const *messages,
                          struct base_text path);

static bool message_has(const Google__Protobuf__DescriptorProto *message, struct base_text path)
{
    struct base_text rest = path;
    struct base_text name = take_name(&rest);
    if (rest.length == 0 && (fields_have(message->n_field, message->field, name) ||
                             fields_have(message->n_extension, message->extension, name) ||
                             enums_have(message->n_enum_type, message->enum_type, name))) {
        return true;
    }
    return messages_have(message->n_nested_type, message->nested_type, path);
}

static bool messages_have(size_t n_messages, Google__Protobuf__DescriptorProto *const *messages,
                          struct base_text path)
{
    struct base_text name = take_name(&path);
    for (size_t i = 0; i < n_messages; i++) {
        if (is_named(messages[i]->name, name)) {
            return path.length == 0 || message_has(messages[i], path);
        }
    }
    return false;
}

static bool services_have(const Google__Protobuf__FileDescriptorProto *file, struct base_text path)
{
    struct base_text name = take_name(&path);
    for (size_t i = 0; i < file->n_service; i++) {
        const Google__Protobuf__ServiceDescriptorProto *service = file->service[i];
        if (!is_named(service->name, name)) {
            continue;
        }
        for (size_t method = 0; method < service->n_method; method++) {
            if (is_named(service->method[method]->name, path)) {
                return true;
            }
        }
        return path.length == 0;
    }
    return false;
}

/* What of a full name stands behind the file's package; empty: it is of another package. */
static struct base_text within_package(const Google__Protobuf__FileDescriptorProto *file,
                                       struct base_text full_name)
{
    struct base_text package = base_text_of(file->package);
    if (full_name.length <= package.length + 1 || !base_text_starts_with(full_name, package) ||
        full_name.bytes[package.length] != '.') {
        return BASE_TEXT("");
    }
    return (struct base_text){full_name.bytes + package.length + 1,
                              full_name.length - package.length - 1};
}

static bool file_has(const Google__Protobuf__FileDescriptorProto *file, struct base_text full_name)
{
    struct base_text path = within_package(file, full_name);
    if (path.length == 0) {
        return false;
    }
    return services_have(file, path) ||
           messages_have(file->n_message_type, file->message_type, path) ||
           enums_have(file->n_enum_type, file->enum_type, path) ||
           fields_have(file->n_extension, file->extension, path);
}

bool api_reflection_has_service(const struct api_reflection *reflection, struct base_text name)
{
    for (size_t i = 0; i < reflection->n_files; i++) {
        const Google__Protobuf__FileDescriptorProto *file = reflection->files[i].descriptor;
        struct base_text path = within_package(file, name);
        for (size_t service = 0; path.length > 0 && service < file->n_service; service++) {
            if (is_named(file->service[service]->name, path)) {
                return true;
            }
        }
    }
    return false;
}

/* Whether a field extends the message of that full name: protoc writes `.google.protobuf.X`. */
static bool extends(const Google__Protobuf__FieldDescriptorProto *field, struct base_text type)
{
    return field->extendee != NULL && field->extendee[0] == '.' &&
           is_named(field->extendee + 1, type);
}

/* --- finding files --- */

static const struct file *find_by_name(const struct api_reflection *reflection, const char *name)
{
    for (size_t i = 0; i < reflection->n_files; i++) {
        if (strcmp(reflection->files[i].descriptor->name, name) == 0) {
            return &reflection->files[i];
        }
    }
    return NULL;
}

static const struct file *find_by_symbol(const struct api_reflection *reflection,
                                         struct base_text full_name)
{
    for (size_t i = 0; i < reflection->n_files; i++) {
        if (file_has(reflection->files[i].descriptor, full_name)) {
            return &reflection->files[i];
        }
    }
    return NULL;
}

static const struct file *find_by_extension(const struct api_reflection *reflection,
                                            const Grpc__Reflection__V1__ExtensionRequest *wanted)
{
    struct base_text type = base_text_of(wanted->containing_type);
    for (size_t i = 0; i < reflection->n_files; i++) {
        const Google__Protobuf__FileDescriptorProto *file = reflection->files[i].descriptor;
        for (size_t field = 0; field < file->n_extension; field++) {
            if (file->extension[field]->number == wanted->extension_number &&
                extends(file->extension[field], type)) {
                return &reflection->files[i];
            }
        }
    }
    return NULL;
}

/* --- answers --- */

struct answering {
    const struct api_reflection *reflection;
    struct base_arena *arena;
    Grpc__Reflection__V1__ServerReflectionResponse *response;
};

static void answer_error(const struct answering *answering, enum base_code code,
                         const char *message)
{
    Grpc__Reflection__V1__ErrorResponse *error = base_arena_take(answering->arena, sizeof *error);
    grpc__reflection__v1__error_response__init(error);
    error->error_code = (int32_t)code;
    error->error_message = (char *)message;
    answering->response->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
    answering->response->error_response = error;
}

/* The file, and behind it all that it imports, each once. NULL: there is none. */
static void answer_file(const struct answering *answering, const struct file *file)
{
    const struct api_reflection *reflection = answering->reflection;
    if (file == NULL) {
        answer_error(answering, BASE_CODE_NOT_FOUND, "no file of this server has it");
        return;
    }
    const struct file **told =
        base_arena_take(answering->arena, reflection->n_files * sizeof(struct file *));
    size_t n_told = 0;
    told[n_told++] = file;
    for (size_t i = 0; i < n_told; i++) {
        for (size_t import = 0; import < told[i]->descriptor->n_dependency; import++) {
            const struct file *imported =
                find_by_name(reflection, told[i]->descriptor->dependency[import]);
            base_assert(imported != NULL);
            size_t at = 0;
            while (at < n_told && told[at] != imported) {
                at++;
            }
            if (at == n_told) {
                told[n_told++] = imported;
            }
        }
    }
    Grpc__Reflection__V1__FileDescriptorResponse *files =
        base_arena_take(answering->arena, sizeof *files);
    grpc__reflection__v1__file_descriptor_response__init(files);
    files->file_descriptor_proto =
        base_arena_take(answering->arena, n_told * sizeof(files->file_descriptor_proto[0]));
    for (size_t i = 0; i < n_told; i++) {
        files->file_descriptor_proto[files->n_file_descriptor_proto++] = (ProtobufCBinaryData){
            told[i]->encoded.length, (uint8_t *)(uintptr_t)told[i]->encoded.bytes};
    }
    answering->response->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
    answering->response->file_descriptor_response = files;
}

static void answer_extension_numbers(const struct answering *answering, char *type)
{
    const struct api_reflection *reflection = answering->reflection;
    if (find_by_symbol(reflection, base_text_of(type)) == NULL) {
        answer_error(answering, BASE_CODE_NOT_FOUND, "no file of this server has it");
        return;
    }
    Grpc__Reflection__V1__ExtensionNumberResponse *numbers =
        base_arena_take(answering->arena, sizeof *numbers);
    grpc__reflection__v1__extension_number_response__init(numbers);
    numbers->base_type_name = type;
    size_t n_extensions = 0;
    for (size_t i = 0; i < reflection->n_files; i++) {
        n_extensions += reflection->files[i].descriptor->n_extension;
    }
    numbers->extension_number = base_arena_take(answering->arena, n_extensions * sizeof(int32_t));
    for (size_t i = 0; i < reflection->n_files; i++) {
        const Google__Protobuf__FileDescriptorProto *file = reflection->files[i].descriptor;
        for (size_t field = 0; field < file->n_extension; field++) {
            if (extends(file->extension[field], base_text_of(type))) {
                numbers->extension_number[numbers->n_extension_number++] =
                    file->extension[field]->number;
            }
        }
    }
    answering->response->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ALL_EXTENSION_NUMBERS_RESPONSE;
    answering->response->all_extension_numbers_response = numbers;
}

static int compare_services(const void *left, const void *right)
{
    const Grpc__Reflection__V1__ServiceResponse *a =
        *(Grpc__Reflection__V1__ServiceResponse *const *)left;
    const Grpc__Reflection__V1__ServiceResponse *b =
        *(Grpc__Reflection__V1__ServiceResponse *const *)right;
    return strcmp(a->name, b->name);
}

static void answer_services(const struct answering *answering)
{
    const struct api_reflection *reflection = answering->reflection;
    struct base_arena *arena = answering->arena;
    size_t n_services = 0;
    for (size_t i = 0; i < reflection->n_files; i++) {
        n_services += reflection->files[i].descriptor->n_service;
    }
    Grpc__Reflection__V1__ListServiceResponse *list = base_arena_take(arena, sizeof *list);
    grpc__reflection__v1__list_service_response__init(list);
    list->service = base_arena_take(arena, n_services * sizeof(list->service[0]));
    for (size_t i = 0; i < reflection->n_files; i++) {
        const Google__Protobuf__FileDescriptorProto *file = reflection->files[i].descriptor;
        for (size_t service = 0; service < file->n_service; service++) {
            Grpc__Reflection__V1__ServiceResponse *told = base_arena_take(arena, sizeof *told);
            grpc__reflection__v1__service_response__init(told);
            told->name = (char *)base_arena_print(arena, "%s.%s", file->package,
                                                  file->service[service]->name)
                             .bytes;
            list->service[list->n_service++] = told;
        }
    }
    qsort(list->service, list->n_service, sizeof(list->service[0]), compare_services);
    answering->response->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
    answering->response->list_services_response = list;
}

const ProtobufCMessage *
api_reflection_answer(const struct api_reflection *reflection, struct base_arena *arena,
                      Grpc__Reflection__V1__ServerReflectionRequest *request)
{
    Grpc__Reflection__V1__ServerReflectionResponse *response =
        base_arena_take(arena, sizeof *response);
    grpc__reflection__v1__server_reflection_response__init(response);
    response->valid_host = request->host;
    response->original_request = request;
    const struct answering answering = {reflection, arena, response};
    switch (request->message_request_case) {
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
        answer_file(&answering, find_by_name(reflection, request->file_by_filename));
        break;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
        answer_file(&answering,
                    find_by_symbol(reflection, base_text_of(request->file_containing_symbol)));
        break;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION:
        answer_file(&answering, find_by_extension(reflection, request->file_containing_extension));
        break;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
        answer_extension_numbers(&answering, request->all_extension_numbers_of_type);
        break;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
        answer_services(&answering);
        break;
    default:
        answer_error(&answering, BASE_CODE_INVALID_ARGUMENT, "nothing is asked");
        break;
    }
    return &response->base;
}
