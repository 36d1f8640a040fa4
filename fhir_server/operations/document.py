"""$document: a Composition and what it refers to, as a document Bundle.

https://hl7.org/fhir/R4/composition-operation-document.html, https://hl7.org/fhir/R4/documents.html. The
Bundle holds the Composition first, then every resource of this server that the Composition itself refers
to, each once, in the order of the references. What lies on other servers is not fetched and stays a
reference. A stored document is known by the versions it was made of: asked for again, it is answered
as it was stored. The parameter `graph` is not supported.
"""

from collections.abc import Iterator
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import orjson

from fhir_server.index.references import local_target
from fhir_server.operations.operation import HL7, Call, Definition, Operation, Reply
from fhir_server.operations.parameter import Parameter
from fhir_server.store.content import instant
from fhir_server.store.identity import is_id
from fhir_server.transaction.entry import Operation as Write
from hie.core.errors import InvalidReferenceError, MissingParameterError, NotFoundError, ParameterValueError
from hie.core.fhir.json import Json, JsonObject, dumps, loads
from hie.core.ports import StoredResource

_TYPE: Final = "Composition"

DEFINITION: Final = Definition(
    code="document",
    url=f"{HL7}Composition-document",
    levels=frozenset({"type", "instance"}),
    types=(_TYPE,),
    affects_state=False,
    parameters=(
        Parameter("id", "in", 0, "1", "uri", "The Composition, by its id or its URL here; at type level"),
        Parameter("persist", "in", 0, "1", "boolean", "Store the document as a Bundle; not unless given"),
        Parameter("return", "out", 1, "1", "Bundle", "The document"),
    ),
    documentation="A document Bundle of the Composition and what it refers to; `persist` stores it.",
)


def handle(call: Call) -> Reply:
    """Return the document.

    Raises NotFoundError or DeletedError for the Composition, and InvalidReferenceError when it
    refers to a resource of this server that cannot be read.
    """
    repository, transaction = call.server.repository, call.transaction
    composition = repository.read(transaction, _TYPE, _id(call))
    parts = _parts(call, composition)
    if not call.inputs.one("persist"):
        return Reply(body=dumps(_document(call, parts, uuid4())))
    key = uuid5(NAMESPACE_URL, "\n".join(f"{_url(call, each)}/_history/{each.version}" for each in parts))
    try:
        stored = repository.read(transaction, "Bundle", str(key))
    except NotFoundError:
        stored = _stored(call, parts, key)
    headers = {"Location": f"{call.server.base_url}/Bundle/{stored.id}/_history/{stored.version}"}
    return Reply(body=stored.body, headers=headers)


def _id(call: Call) -> str:
    given: str | None = call.inputs.one("id")
    if call.resource_id is not None:
        if given is not None:
            raise ParameterValueError(
                "`id` is for the type level only", expression=call.inputs.expression("id")
            )
        return call.resource_id
    if given is None:
        raise MissingParameterError(
            "$document at type level needs the `id` of a Composition", expression="id"
        )
    target = (_TYPE, given) if is_id(given) else local_target(given, call.server.base_url)
    if target is None or target[0] != _TYPE:
        raise ParameterValueError(
            f"`{given}` names no Composition of this server", expression=call.inputs.expression("id")
        )
    return target[1]


def _parts(call: Call, composition: StoredResource) -> list[StoredResource]:
    """Return the Composition and what it refers to; raises InvalidReferenceError."""
    content: JsonObject = loads(composition.body or b"{}")
    located: dict[tuple[str, str], str] = {}
    for reference, expression in _references(content, _TYPE):
        target = local_target(reference, call.server.base_url)
        if target is not None and target != (_TYPE, composition.id):
            located.setdefault(target, expression)
    targets = list(located)
    resources = call.server.repository.read_all(call.transaction, targets)
    readable = {(each.type, each.id) for each in resources}
    for target in targets:
        if target not in readable:
            raise InvalidReferenceError(
                f"The document needs `{target[0]}/{target[1]}`, which does not exist",
                expression=located[target],
            )
    return [composition, *resources]


def _references(value: Json, expression: str) -> Iterator[tuple[str, str]]:
    """Yield the literal references inside `value` with their expressions, in document order."""
    if isinstance(value, dict):
        literal = value.get("reference")
        if isinstance(literal, str):
            yield literal, f"{expression}.reference"
        for name, inner in value.items():
            yield from _references(inner, f"{expression}.{name}")
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _references(inner, f"{expression}[{position}]")


def _document(call: Call, parts: list[StoredResource], key: UUID) -> JsonObject:
    return {
        "resourceType": "Bundle",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{key}"},
        "type": "document",
        "timestamp": instant(call.server.clock.now()),
        "entry": [
            {"fullUrl": _url(call, each), "resource": orjson.Fragment(each.body or b"null")} for each in parts
        ],
    }


def _stored(call: Call, parts: list[StoredResource], key: UUID) -> StoredResource:
    repository, transaction = call.server.repository, call.transaction
    document = repository.checked({**loads(dumps(_document(call, parts, key))), "id": str(key)}, "Bundle")
    repository.apply_one(transaction, Write("PUT", type="Bundle", id=str(key), resource=document))
    return repository.read(transaction, "Bundle", str(key))


def _url(call: Call, resource: StoredResource) -> str:
    return f"{call.server.base_url}/{resource.type}/{resource.id}"


OPERATION: Final = Operation(DEFINITION, handle)
