"""One engine with all maps, one sender, and how a test reads a message."""

import importlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from hie.core.fhir.json import Json, JsonObject, dumps, loads
from hl7_gateway.convert.engine import Conversion, Engine
from hl7_gateway.er7.reader import read
from hl7_gateway.sender import Sender
from terminology.translation import ConceptMaps

SENDER = Sender("HIS", "ZZ1H", ZoneInfo("Asia/Shanghai"))
RECEIVED = datetime(2026, 3, 5, 1, 0, tzinfo=UTC)
BASE = "http://hie.example/sid/ZZ1H"

Convert = Callable[..., Conversion]


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine(ConceptMaps())


@pytest.fixture(scope="session")
def convert(engine: Engine) -> Convert:
    """Convert segments, or a message as bytes."""

    def convert_message(*segments: str | bytes, sender: Sender = SENDER) -> Conversion:
        raw = b"".join(part if isinstance(part, bytes) else part.encode() + b"\r" for part in segments)
        return engine.convert(read(raw), sender, received=RECEIVED)

    return convert_message


def header(message_type: str = "ADT^A01^ADT_A01", control_id: str = "1", version: str = "2.5.1") -> str:
    sent = f"20260305083015||{message_type}|{control_id}|P|{version}"
    return f"MSH|^~\\&|HIS|ZZ1H|HIE|ZZHIE|{sent}|||||CHN|UNICODE UTF-8"


def segment(name: str, **fields: str) -> str:
    """Return a segment by its field numbers: ``segment("PID", f3="1^^^H^MR")``."""
    numbers = {int(key[1:]): value for key, value in fields.items()}
    return "|".join([name, *(numbers.get(n, "") for n in range(1, max(numbers) + 1))])


def resources(conversion: Conversion, kind: str) -> list[JsonObject]:
    return [e["resource"] for e in conversion.bundle["entry"] if e["resource"]["resourceType"] == kind]


def only(conversion: Conversion, kind: str) -> JsonObject:
    found = resources(conversion, kind)
    assert len(found) == 1
    return found[0]


def entry(conversion: Conversion, kind: str) -> JsonObject:
    found = [e for e in conversion.bundle["entry"] if e["resource"]["resourceType"] == kind]
    assert len(found) == 1
    result: JsonObject = found[0]
    return result


def references(node: Json) -> Iterator[str]:
    """Return every `Reference.reference` below `node`."""
    if isinstance(node, dict):
        if isinstance(node.get("reference"), str):
            yield node["reference"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def assert_sound(bundle: JsonObject) -> None:
    """Hold a Bundle to what the engine promises: resolvable, conditional, unique, valid."""
    assert bundle["type"] == "transaction"
    urls = [entry["fullUrl"] for entry in bundle["entry"]]
    assert len(set(urls)) == len(urls)
    requests = [entry["request"] for entry in bundle["entry"]]
    conditions = [(request["url"], request.get("ifNoneExist")) for request in requests]
    assert len(set(conditions)) == len(conditions)
    for item in bundle["entry"]:
        assert item["fullUrl"].startswith("urn:uuid:")
        assert set(references(item["resource"])) <= set(urls)
        request, kind = item["request"], item["resource"]["resourceType"]
        if request["method"] == "POST":
            assert request["url"] == kind
            assert request["ifNoneExist"].startswith("identifier=")
        else:
            assert request["method"] == "PUT"
            assert request["url"].startswith((f"{kind}?identifier=", "Provenance/"))
        assert_valid(item["resource"])


def assert_valid(resource: JsonObject) -> None:
    """Hold a resource to fhir.resources' definition of its type."""
    kind = resource["resourceType"]
    model = getattr(importlib.import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)
    model.model_validate(loads(dumps(resource)))
