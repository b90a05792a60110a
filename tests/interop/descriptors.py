"""Prints what the published protocol says, one fact a line, or compares it with a file.

    python descriptors.py                                   print the facts
    python descriptors.py --check tests/fixtures/protocol.txt   exit 1 and show what differs

The facts are read from the descriptors inside the installed Python package `durabletask`. The
Rust test `tests/proto.rs` writes the same lines for our `proto/` and compares them with the file.
"""

import difflib
import pathlib
import sys

from durabletask.internal import orchestrator_service_pb2 as published
from google.protobuf import descriptor_pb2

FIELD = descriptor_pb2.FieldDescriptorProto


def type_of(field, entries):
    """The type as a .proto file would write it: `string`, `repeated Thing`, `map<string, string>`."""
    name = field.type_name.lstrip(".") or FIELD.Type.Name(field.type).removeprefix("TYPE_").lower()
    if field.label != FIELD.LABEL_REPEATED:
        return name
    entry = entries.get(name.rpartition(".")[2])
    if entry is None:
        return f"repeated {name}"
    key, value = (type_of(part, {}) for part in entry.field)
    return f"map<{key}, {value}>"


def facts_of_enum(enum, prefix):
    for value in enum.value:
        yield f"enum {prefix}{enum.name}.{value.name} = {value.number}"


def facts_of_message(message, prefix=""):
    name = prefix + message.name
    yield f"message {name}"
    entries = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
    for field in message.field:
        fact = f"field {name}.{field.name} = {field.number} {type_of(field, entries)}"
        if field.proto3_optional:
            fact += " optional"
        elif field.HasField("oneof_index"):
            fact += f" oneof {message.oneof_decl[field.oneof_index].name}"
        if field.options.deprecated:
            fact += " deprecated"
        yield fact
    for reserved in message.reserved_range:
        yield f"reserved {name} {reserved.start}..{reserved.end}"
    for enum in message.enum_type:
        yield from facts_of_enum(enum, f"{name}.")
    for nested in message.nested_type:
        if not nested.options.map_entry:
            yield from facts_of_message(nested, f"{name}.")


def facts_of_file(file):
    yield f"syntax {file.syntax}"
    yield f"package {file.package or '(none)'}"
    for enum in file.enum_type:
        yield from facts_of_enum(enum, "")
    for message in file.message_type:
        yield from facts_of_message(message)
    for service in file.service:
        for method in service.method:
            asks = "stream " * method.client_streaming + method.input_type.lstrip(".")
            gives = "stream " * method.server_streaming + method.output_type.lstrip(".")
            yield f"rpc {service.name}.{method.name} {asks} -> {gives}"


def main(arguments):
    file = descriptor_pb2.FileDescriptorProto()
    published.DESCRIPTOR.CopyToProto(file)
    facts = sorted(facts_of_file(file))
    if not arguments:
        print("\n".join(facts))
        return 0
    if len(arguments) != 2 or arguments[0] != "--check":
        print(__doc__, file=sys.stderr)
        return 2
    kept = pathlib.Path(arguments[1]).read_text(encoding="utf-8").splitlines()
    kept = [line for line in kept if line and not line.startswith("#")]
    differences = list(difflib.unified_diff(kept, facts, arguments[1], "published", n=0, lineterm=""))
    print("\n".join(differences) or f"{len(facts)} facts, the same as published")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
