"""JSON and XML say the same: R4 examples, HL7's own XML, and resources made from the structure table."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given

from hie.core.fhir.json import Json, JsonObject, dumps, loads
from hie.core.fhir.structure import resource_types
from hie.core.fhir.xml_read import from_xml
from hie.core.fhir.xml_write import to_xml
from tests.hie.core.fhir.made_resources import resources

XHTML = "{http://www.w3.org/1999/xhtml}"


def text_of(value: Json) -> str:
    """Return JSON with sorted names and the digits of every number."""
    return json.dumps(json.loads(dumps(value), parse_float=str, parse_int=str), sort_keys=True)


@given(resources())
def test_json_to_xml_to_json_is_identity(resource: JsonObject) -> None:
    assert text_of(from_xml(to_xml(resource))) == text_of(resource)
    assert text_of(from_xml(to_xml(resource, is_pretty=True))) == text_of(resource)


@given(resources())
def test_xml_holds_the_values_that_json_holds(resource: JsonObject) -> None:
    """The referee is another XML parser, and a plain walk over JSON."""
    tree = ET.fromstring(to_xml(resource))  # noqa: S314 - our own text
    found = sorted(_values_of_xml(tree))
    expected = sorted(_values_of_json(resource))
    assert found == expected


def test_every_r4_example_survives_the_round_trip(conformance_data: Path) -> None:
    count = 0
    for file in sorted((conformance_data / "fhir" / "r4-examples").glob("*.json")):
        resource = loads(file.read_bytes())
        if "resourceType" in resource:
            count += 1
            assert text_of(from_xml(to_xml(resource))) == text_of(resource), file.name
    assert count == 1081


def _xml_files(data: Path) -> list[Path]:
    return sorted(
        [
            *(data / "fhir" / "fhir-test-cases-inputs" / "data" / "r4" / "input").glob("*.xml"),
            *(data / "fhir" / "fhir-test-cases" / "r4" / "examples").glob("*.xml"),
        ]
    )


def test_xml_of_hl7_is_written_again_element_by_element(conformance_data: Path) -> None:
    """Names, order, attributes and namespaces are those that HL7's own writer gives."""
    files = _xml_files(conformance_data)
    assert files
    for file in files:
        text = file.read_bytes()
        again = to_xml(from_xml(text))
        assert list(_events(again)) == list(_events(text)), file.name


def test_xml_of_hl7_agrees_with_its_json(conformance_data: Path) -> None:
    folder = conformance_data / "fhir" / "fhir-test-cases-inputs" / "data" / "r4" / "input"
    compared = 0
    for file in folder.glob("*.xml"):
        twin = loads(file.with_suffix(".json").read_bytes())
        resource = from_xml(file.read_bytes())
        # Two of the JSON files carry a tag that their XML does not have.
        if "meta" not in resource:
            twin.pop("meta", None)
        compared += 1
        assert _with_parsed_narrative(resource) == _with_parsed_narrative(twin), file.name
    assert compared == 4


def _with_parsed_narrative(resource: JsonObject) -> JsonObject:
    narrative = resource.get("text", {}).pop("div", "<div/>")
    tree = ET.fromstring(narrative)  # noqa: S314 - a published example
    return {**resource, "div": " ".join("".join(tree.itertext()).split())}


def _events(text: bytes) -> Iterator[tuple[str, dict[str, str], str, str]]:
    for element in ET.fromstring(text).iter():  # noqa: S314 - a published example, or our own text
        attributes = {name: value for name, value in element.attrib.items() if "schemaLocation" not in name}
        if "value" in attributes:
            attributes["value"] = _plain_number(attributes["value"])
        inside = element.text if element.tag.startswith(XHTML) else ""
        after = element.tail if element.tag.startswith(XHTML) and not element.tag.endswith("}div") else ""
        yield element.tag, attributes, inside or "", after or ""


def _plain_number(text: str) -> str:
    """Return a number in one notation; an exponent is another way to write the same digits."""
    return str(Decimal(text)) if re.fullmatch(r"-?\d+(\.\d+)?([eE][-+]?\d+)?", text) else text


def _values_of_xml(element: ET.Element) -> Iterator[str]:
    if element.tag.startswith(XHTML):
        yield "div"
        return
    for name, value in element.attrib.items():
        yield f"{name}={value}"
    for child in element:
        yield from _values_of_xml(child)


def _values_of_json(node: Json, key: str = "") -> Iterator[str]:
    if isinstance(node, dict):
        # ExampleScenario.instance has an element of that name, so its value tells.
        is_resource = node.get("resourceType") in resource_types()
        for name, value in node.items():
            if name == "resourceType" and is_resource:
                continue
            is_attribute = (name == "id" and not is_resource) or (name == "url" and _is_extension(key))
            if is_attribute:
                yield f"{name}={value}"
            else:
                yield from _values_of_json(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from _values_of_json(value, key)
    elif key == "div" and str(node).startswith("<div"):
        yield "div"
    elif node is not None:
        yield "value=" + (node if isinstance(node, str) else dumps(node).decode())


def _is_extension(key: str) -> bool:
    return key in ("extension", "modifierExtension")


@pytest.mark.parametrize("digits", ["1.0", "0.00", "-1.10", "100", "1.000000000000000001", "0.0000001"])
def test_decimals_keep_their_digits(digits: str) -> None:
    text = f'{{"resourceType":"Observation","valueQuantity":{{"value":{digits}}}}}'
    written = to_xml(loads(text))
    assert f'<value value="{digits}"/>'.encode() in written
    assert dumps(from_xml(written)).decode() == text
