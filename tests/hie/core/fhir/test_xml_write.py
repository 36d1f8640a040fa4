"""XML as FHIR has it, and the words for JSON that has no XML."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.core.errors import ExchangeError, NotAcceptableError
from hie.core.fhir.json import Json, JsonObject
from hie.core.fhir.xhtml import as_markup
from hie.core.fhir.xml_write import to_xml

XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'


def test_elements_come_in_the_order_of_the_specification() -> None:
    resource = {
        "birthDate": "2000-01-01",
        "name": [{"given": ["a", None], "_given": [None, {"id": "g"}], "use": "official"}],
        "active": True,
        "id": "p",
        "resourceType": "Patient",
        "extension": [{"valueString": '<&">\n', "url": "http://a.example"}],
        "contained": [{"resourceType": "Organization", "id": "o"}],
        "text": {"status": "empty", "div": f"<div {XHTML}>a&nbsp;b</div>"},
    }
    assert to_xml(resource, is_pretty=True).decode() == (
        """<?xml version="1.0" encoding="UTF-8"?>
<Patient xmlns="http://hl7.org/fhir">
  <id value="p"/>
  <text>
    <status value="empty"/>
    <div xmlns="http://www.w3.org/1999/xhtml">a&#160;b</div>
  </text>
  <contained>
    <Organization>
      <id value="o"/>
    </Organization>
  </contained>
  <extension url="http://a.example">
    <valueString value="&lt;&amp;&quot;&gt;&#10;"/>
  </extension>
  <active value="true"/>
  <name>
    <use value="official"/>
    <given value="a"/>
    <given id="g">
    </given>
  </name>
  <birthDate value="2000-01-01"/>
</Patient>
"""
    )


@pytest.mark.parametrize(
    ("div", "markup"),
    [
        (f"<div {XHTML}>a</div>", f"<div {XHTML}>a</div>"),
        ("<div>a<br/></div>", f"<div {XHTML}>a<br/></div>"),
        ('<div class="x">a</div>', f'<div {XHTML} class="x">a</div>'),
        ("<div>a<br></div>", f"<div {XHTML}>&lt;div&gt;a&lt;br&gt;&lt;/div&gt;</div>"),
        ("plain & text", f"<div {XHTML}>plain &amp; text</div>"),
        ("<p>a</p>", f"<div {XHTML}>&lt;p&gt;a&lt;/p&gt;</div>"),
        (
            "<!DOCTYPE a [<!ENTITY a 'b'>]><div>&a;</div>",
            f"<div {XHTML}>&lt;!DOCTYPE a [&lt;!ENTITY a 'b'&gt;]&gt;&lt;div&gt;&amp;a;&lt;/div&gt;</div>",
        ),
        (
            "<x:div xmlns:x='http://www.w3.org/1999/xhtml'/>",
            "<x:div xmlns:x='http://www.w3.org/1999/xhtml'/>",
        ),
    ],
)
def test_narrative_is_always_well_formed(div: str, markup: str) -> None:
    assert as_markup(div) == markup


@pytest.mark.parametrize(
    ("resource", "expression"),
    [
        ({"resourceType": "Visit"}, "resourceType"),
        ({}, "resourceType"),
        ({"resourceType": "Patient", "visit": 1}, "Patient.visit"),
        ({"resourceType": "Patient", "name": [{"giver": ["a"]}]}, "HumanName.giver"),
        ({"resourceType": "Patient", "name": ["a"]}, "HumanName"),
        ({"resourceType": "Patient", "birthDate": {"a": 1}}, "birthDate"),
        ({"resourceType": "Patient", "_birthDate": "a"}, "_birthDate"),
        ({"resourceType": "Patient", "text": {"div": 1}}, "div"),
        ({"resourceType": "Patient", "contained": ["a"]}, "resourceType"),
        ({"resourceType": "Patient", "language": "a\u0000"}, "language"),
        ({"resourceType": "Patient", "text": {"div": "<div>\u0001</div>"}}, "div"),
    ],
)
def test_what_is_not_of_r4_is_refused_by_name(resource: JsonObject, expression: str) -> None:
    with pytest.raises(NotAcceptableError) as error:
        to_xml(resource)
    assert error.value.expression == expression


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "url", "name", "_name", "text", "div", "value", "resourceType", "contained", "_id"]
            )
            | st.text(),
            inner,
            max_size=4,
        )
    ),
)


@given(_JSON, st.sampled_from(["Patient", "Observation", "Bundle", "Visit"]))
def test_any_json_is_written_or_refused_and_never_fails_otherwise(content: Json, name: str) -> None:
    resource = {"resourceType": name, "contained": [content], "extension": [content], "text": content}
    if isinstance(content, dict):
        resource |= content
    try:
        text = to_xml(resource)
    except ExchangeError:
        return
    ET.fromstring(text)  # noqa: S314 - our own text
