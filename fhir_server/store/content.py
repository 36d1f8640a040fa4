"""The content of a resource, and the body that is stored for a version of it.

The content is what the client gave without meta.versionId and meta.lastUpdated;
its digest says whether an update changes anything. The body is the content with
those two put in by the server (https://hl7.org/fhir/R4/resource.html#Meta).
Element order and the digits of decimals stay as given; only `resourceType`,
`id` and `meta` come first.
"""

from datetime import UTC, datetime
from decimal import Decimal
from hashlib import blake2b

import orjson

from hie.core.fhir.json import JsonObject, dumps

_KEYED = b"\x01"
_KEYED_BYTES = 17
_HEAD = ("resourceType", "id", "meta")
_SERVER_META = ("versionId", "lastUpdated")


def content(resource: JsonObject, resource_id: str) -> JsonObject:
    """Return a copy of `resource` under `resource_id`, head first, without the server's part of meta."""
    made: JsonObject = {"resourceType": resource["resourceType"], "id": resource_id}
    meta = resource.get("meta")
    if isinstance(meta, dict):
        kept = {name: value for name, value in meta.items() if name not in _SERVER_META}
        if kept:
            made["meta"] = kept
    for name, value in resource.items():
        if name not in _HEAD:
            made[name] = value
    return made


def canonical(made: JsonObject) -> bytes:
    """Return the JSON text that is equal for equal content, whatever the order of its elements."""
    return orjson.dumps(made, default=_digits, option=orjson.OPT_SORT_KEYS)


def digest_of(text: bytes) -> bytes:
    """Return the digest of the content with the text `canonical` gave: 16 bytes."""
    return blake2b(text, digest_size=16).digest()


def keyed_digest(found: bytes, key: bytes) -> bytes:
    """Return what is stored in place of a digest where encryption is on: 17 bytes, the first of them 1.

    A digest alone would tell whether a guess at the content is right.
    """
    return _KEYED + blake2b(found, key=key, digest_size=16).digest()


def is_keyed(stored: bytes) -> bool:
    """Say whether a stored digest is a keyed one."""
    return len(stored) == _KEYED_BYTES


def digest(made: JsonObject) -> bytes:
    """Return 16 bytes that are equal for equal content, whatever the order of its elements."""
    return digest_of(canonical(made))


def instant(moment: datetime) -> str:
    """Return `moment` as a FHIR instant in UTC with milliseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def to_milliseconds(moment: datetime) -> datetime:
    """Return `moment` without what an instant with milliseconds cannot say."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def body(made: JsonObject, version: int, last_updated: str) -> bytes:
    """Return the JSON text of `made` as version `version`; `last_updated` is an instant."""
    meta: JsonObject = {"versionId": str(version), "lastUpdated": last_updated}
    if "meta" in made:
        meta.update(made["meta"])
        return dumps({**made, "meta": meta})
    whole = {"resourceType": made["resourceType"], "id": made["id"], "meta": meta}
    whole.update(made)
    return dumps(whole)


def _digits(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError(f"{type(value).__name__} is not a JSON value")
