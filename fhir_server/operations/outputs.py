"""Answers of operations as bytes: a Parameters resource, or a Bundle of stored resources.

https://hl7.org/fhir/R4/operations.html#response: an operation with one output of a resource type,
named `return`, answers with that resource itself; all others with Parameters.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from fhir_server.operations.operation import Reply
from hie.core.fhir.json import Json, JsonObject, dumps
from hie.core.ports import StoredResource

MATCH: Final = b"match"
INCLUDE: Final = b"include"


def parameters_reply(values: Iterable[tuple[str, str, Json]], status: int = 200) -> Reply:
    """Return Parameters of (name, key, value): ``("return", "valueMeta", {...})``."""
    parameters = [{"name": name, key: value} for name, key, value in values]
    resource: JsonObject = {"resourceType": "Parameters"}
    if parameters:
        resource["parameter"] = parameters
    return Reply(status, dumps(resource))


def entry(base_url: bytes, resource: StoredResource, mode: bytes) -> bytes:
    """Return the entry of a searchset Bundle that holds the stored bytes of `resource`."""
    return b'{"fullUrl":"%s/%s/%s","resource":%s,"search":{"mode":"%s"}}' % (
        base_url,
        resource.type.encode(),
        resource.id.encode(),
        resource.body or b"null",
        mode,
    )


def searchset(links: Sequence[tuple[str, str]], entries: Sequence[bytes], total: int | None = None) -> bytes:
    """Return a searchset Bundle of `entries`; `links` are (relation, url)."""
    parts = [b'{"resourceType":"Bundle","type":"searchset"']
    if total is not None:
        parts.append(b',"total":%d' % total)
    parts.append(b',"link":' + dumps([{"relation": relation, "url": url} for relation, url in links]))
    if entries:
        parts.append(b',"entry":[' + b",".join(entries) + b"]")
    parts.append(b"}")
    return b"".join(parts)
