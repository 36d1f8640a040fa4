"""Texts that are small and ask for much: XML with entities, attributes, depth; JSON with numbers, depth.

CWE-776, CWE-400. Bodies in a content coding are in `tests/hie/core/web/test_content_coding.py`, files of gzip
in `tests/fhir_server/store/test_load.py`, archives of backups in `tests/hie/backup/test_trees.py`.
"""

import json
import tracemalloc

import pytest

from hie import app, wiring
from hie.core.errors import ExchangeError, MalformedJSONError, MalformedXMLError, NestedTooDeeplyError
from hie.core.fhir.json import loads
from hie.core.fhir.xml_read import from_xml
from hie.core.settings import Settings
from tests.fhir_server.interactions.client import Client
from tests.hie.hardening.test_regular_expressions import at_most

SECONDS = 5.0
MOST_BYTES = 64 * 1024 * 1024
HEAD = '<?xml version="1.0"?>'
PATIENT = '<Patient xmlns="http://hl7.org/fhir"'


def _laughs(levels: int = 12, copies: int = 10) -> str:
    entities = "".join(f'<!ENTITY l{level + 1} "{f"&l{level};" * copies}">' for level in range(levels))
    return (
        f'{HEAD}<!DOCTYPE Patient [<!ENTITY l0 "lol">{entities}]>'
        f'{PATIENT}><language value="&l{levels};"/></Patient>'
    )


def _many(attribute: str, count: int) -> str:
    return " ".join(attribute.format(each) + f'"u:{each}"' for each in range(count))


XML_BOMBS = {
    "entities of entities": _laughs(),
    "one long entity, often": (
        f'{HEAD}<!DOCTYPE Patient [<!ENTITY a "{"a" * 50_000}">]>'
        f'{PATIENT}><language value="{"&a;" * 50_000}"/></Patient>'
    ),
    "an entity of a file": (
        f'{HEAD}<!DOCTYPE Patient [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
        f'{PATIENT}><language value="&a;"/></Patient>'
    ),
    "an entity of a server": (
        f'{HEAD}<!DOCTYPE Patient [<!ENTITY % a SYSTEM "http://127.0.0.1:1/a.dtd"> %a;]>{PATIENT}/>'
    ),
    "a document type elsewhere": f'{HEAD}<!DOCTYPE Patient SYSTEM "http://127.0.0.1:1/a.dtd">{PATIENT}/>',
    "an entity within the narrative": (
        f'{HEAD}<!DOCTYPE div [<!ENTITY a "b">]>{PATIENT}><text><status value="generated"/>'
        '<div xmlns="http://www.w3.org/1999/xhtml">&a;</div></text></Patient>'
    ),
    "an inclusion": (
        f'{PATIENT} xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd"/></Patient>'
    ),
    "many attributes": f"{PATIENT} {_many('a{}=', 100_000)}/>",
    "many namespaces": f"{PATIENT} {_many('xmlns:a{}=', 50_000)}><a9:b/></Patient>",
    "a long name": f"{PATIENT}><{'a' * 5_000_000}/></Patient>",
    "depth": f"{PATIENT}>{'<extension>' * 200_000}",
    "many comments": f"{PATIENT}>{'<!---->' * 300_000}<b/></Patient>",
    "another encoding": f'<?xml version="1.0" encoding="UTF-7"?>{PATIENT}/>',
}


@pytest.mark.parametrize("name", XML_BOMBS)
def test_xml_that_asks_for_much_is_refused_at_little_cost(name: str) -> None:
    text = XML_BOMBS[name].encode()
    tracemalloc.start()
    try:
        with at_most(4 * SECONDS), pytest.raises((MalformedXMLError, NestedTooDeeplyError)) as error:
            from_xml(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MOST_BYTES + 10 * len(text)
    assert len(error.value.message) < 1000
    assert "root:" not in error.value.message


JSON_BOMBS = {
    "arrays": b"[" * 5_000_000,
    "objects": b'{"a":' * 1_000_000,
    "closed arrays": b"[" * 100_000 + b"]" * 100_000,
    "a long number": b'{"a":' + b"9" * 5_000_000 + b"}",
    "a long fraction": b'{"a":0.' + b"9" * 5_000_000 + b"}",
    "a huge exponent": b'{"a":1e99999999999999999999}',
    "many names": b"{" + b",".join(b'"%d":0' % each for each in range(300_000)) + b"}",
    "a name, often": b"{" + b",".join([b'"a":0'] * 300_000) + b"}",
    "a broken escape": b'{"a":"' + b"\\u00" * 1_000_000 + b'"}',
    "half a surrogate": b'{"a":"\\ud800"}',
}


@pytest.mark.parametrize("name", JSON_BOMBS)
def test_json_that_asks_for_much_is_read_or_refused_at_little_cost(name: str) -> None:
    text = JSON_BOMBS[name]
    with at_most(SECONDS):
        try:
            loads(text)
        except (MalformedJSONError, NestedTooDeeplyError, ExchangeError) as error:
            assert len(error.message) < 1000  # noqa: PT017 - reading it is as good


NUMBERS = [
    "1e400",
    "-1e400",
    "1e-400",
    "1E+99999",
    "1e999999999",
    "1e-999999999",
    "0e-999999999",
    "0." + "0" * 1000 + "1",
    "9" * 1000,
]
AS_XML = {"content-type": "application/fhir+json", "accept": "application/fhir+xml"}


def test_decimals_of_any_size_are_answered_and_never_a_fault(database_url: str) -> None:
    """Written, searched for, computed with: https://hl7.org/fhir/R4/datatypes.html#decimal."""
    with wiring.build(Settings(auth="off"), database_url=database_url) as exchange:
        client = Client(app.build(exchange))
        faults = []
        for number in NUMBERS:
            observation = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
            body = json.dumps({**observation, "valueQuantity": {"value": 0, "unit": "g"}})
            body = body.replace('"value": 0', f'"value": {number}')
            with at_most(SECONDS):
                answers = [
                    client.post("Observation", content=body),
                    client.post("Observation/$validate", content=body, headers=AS_XML),
                    client.get("Observation", params={"_count": number}),
                    *(
                        client.get("Observation", params={"value-quantity": f"{prefix}{number}"})
                        for prefix in ("", "gt", "ap")
                    ),
                ]
            faults += [(number[:20], each.status_code) for each in answers if each.status_code >= 500]
    assert faults == []
