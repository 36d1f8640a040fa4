"""What XML of FHIR may hold, and the words for what it may not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.core.errors import ExchangeError, MalformedXMLError, NestedTooDeeplyError
from hie.core.fhir.json import JsonObject
from hie.core.fhir.xml_read import from_xml
from hie.core.fhir.xml_write import to_xml
from tests.hie.core.fhir.made_resources import resources

NAMESPACE = 'xmlns="http://hl7.org/fhir"'
XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'


def patient(content: str) -> bytes:
    return f"<Patient {NAMESPACE}>{content}</Patient>".encode()


def narrative(text: str) -> str:
    div: str = from_xml(patient(f'<text><status value="generated"/>{text}</text>'))["text"]["div"]
    return div


def test_primitives_take_the_types_of_json() -> None:
    text = f"""<?xml version="1.0" encoding="UTF-8"?>
    <!-- a comment --><?xml-stylesheet href="x.xsl"?>
    <Observation {NAMESPACE} xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
        xsi:schemaLocation="http://hl7.org/fhir fhir-single.xsd">
      <id value="o1"/> <!-- another -->
      <status value="final"/>
      <effectiveDateTime value=" 2026-01-02 "/>
      <valueQuantity id="q"><value value=" 1.10 "/><unit value=" mg "/></valueQuantity>
      <component><valueBoolean value="true"/></component>
      <component><valueInteger value="+7"/></component>
    </Observation>"""
    resource = from_xml(text.encode())
    quantity = resource["valueQuantity"]
    assert str(quantity.pop("value")) == "1.10"
    assert resource == {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "effectiveDateTime": "2026-01-02",
        "valueQuantity": {"id": "q", "unit": " mg "},
        "component": [{"valueBoolean": True}, {"valueInteger": 7}],
    }


def test_ids_and_extensions_of_primitives_stand_beside_them() -> None:
    extension = '<extension url="http://a.example"><valueCode value="x"/></extension>'
    beside = {"extension": [{"url": "http://a.example", "valueCode": "x"}]}
    resource = from_xml(
        patient(
            '<name><family id="f" value="a"/>'
            f'<given value="b"/><given>{extension}</given><given value="c"/></name>'
            f"<name><given>{extension}</given></name><birthDate>{extension}</birthDate>"
        )
    )
    assert resource == {
        "resourceType": "Patient",
        "name": [
            {
                "family": "a",
                "_family": {"id": "f"},
                "given": ["b", None, "c"],
                "_given": [None, beside, None],
            },
            {"_given": [beside]},
        ],
        "_birthDate": beside,
    }


def test_contained_resources_and_entries_of_bundles() -> None:
    inner = '<contained><Organization><id value="o"/></Organization></contained>'
    text = (
        f"<Bundle {NAMESPACE}><entry><resource><Patient>{inner}{inner}</Patient></resource></entry></Bundle>"
    )
    contained = {"resourceType": "Organization", "id": "o"}
    assert from_xml(text.encode()) == {
        "resourceType": "Bundle",
        "entry": [{"resource": {"resourceType": "Patient", "contained": [contained, contained]}}],
    }


def test_prefixes_are_names_of_namespaces() -> None:
    text = (
        '<f:Patient xmlns:f="http://hl7.org/fhir" xmlns:h="http://www.w3.org/1999/xhtml"><f:text>'
        '<f:status value="generated"/>'
        '<h:div><h:p title="&lt;&#10;">a &amp; <h:br/></h:p><h:td></h:td></h:div>'
        '</f:text><f:active value="false"/></f:Patient>'
    )
    assert from_xml(text.encode()) == {
        "resourceType": "Patient",
        "text": {
            "status": "generated",
            "div": f'<div {XHTML}><p title="&lt;&#10;">a &amp; <br/></p><td></td></div>',
        },
        "active": False,
    }


@pytest.mark.parametrize(
    "div",
    [
        f"<div {XHTML}/>",
        f"<div {XHTML}></div>",
        f"<div {XHTML}>/></div >",
        f"<div class='a>b/' {XHTML} xml:lang=\"zh\">\r\n<p>一 <!-- </div> --></p></div>",
        f"<div {XHTML}><![CDATA[</div>&nbsp;]]></div>",
        f"<div  title=\"xmlns='x'\"\n {XHTML}><div>inner</div>&#160;&lt;</div>",
    ],
)
def test_narrative_is_kept_as_it_is_written(div: str) -> None:
    assert narrative(div) == div


def test_named_entities_of_xhtml_become_numbers() -> None:
    assert narrative(f"<div {XHTML}>a&nbsp;&eacute;&amp;&quot;</div>") == (
        f"<div {XHTML}>a&#160;&#233;&amp;&quot;</div>"
    )


def test_default_namespace_declared_around_the_narrative() -> None:
    text = (
        '<f:Patient xmlns:f="http://hl7.org/fhir" xmlns="http://www.w3.org/1999/xhtml"><f:text>'
        '<f:status value="generated"/><div>a<p>b</p></div></f:text></f:Patient>'
    )
    assert from_xml(text.encode())["text"]["div"] == f"<div {XHTML}>a<p>b</p></div>"


def test_prefix_that_is_declared_around_the_narrative() -> None:
    text = f"<text><status value='generated'/><div {XHTML}><h:p>a</h:p></div></text>"
    document = patient(text).replace(b"<Patient", b'<Patient xmlns:h="http://www.w3.org/1999/xhtml"')
    assert from_xml(document)["text"]["div"] == f"<div {XHTML}><p>a</p></div>"


@pytest.mark.parametrize(
    ("text", "message", "expression"),
    [
        (b"<Patient", "The body is not XML: unclosed token at line 1, column 1", None),
        (b"", "The body is not XML: no element found at line 1, column 1", None),
        (b"{}", "The body is not XML: not well-formed (invalid token) at line 1, column 1", None),
        (
            b'<!DOCTYPE Patient [<!ENTITY a "b">]><Patient xmlns="http://hl7.org/fhir"/>',
            "The body declares a document type; FHIR has none",
            None,
        ),
        (
            f"<?xml version='1.0' encoding='GB18030'?><Patient {NAMESPACE}/>".encode(),
            "The body is declared as `GB18030`; FHIR is written in UTF-8",
            None,
        ),
        (
            b"<Patient/>",
            "The body holds `Patient` of namespace ``; FHIR's is http://hl7.org/fhir (line 1)",
            None,
        ),
        (
            f"<Visit {NAMESPACE}/>".encode(),
            "`Visit` is not a resource type of FHIR R4",
            "Visit",
        ),
        (
            patient('<name/>\n<visit value="1"/>'),
            "`Patient.name[0]` is empty (line 1)",
            "Patient.name[0]",
        ),
        (
            patient('<active value="true"/>\n<visit value="1"/>'),
            "`Patient` has no element `visit` (line 2)",
            "Patient.visit",
        ),
        (
            patient('<name><given value="a"/></name><name><given value="b"/><given values="c"/></name>'),
            "`Patient.name[1].given[1]` has no attribute `values` (line 1)",
            "Patient.name[1].given[1]",
        ),
        (
            patient('<birthDate value="2000"/><birthDate value="2001"/>'),
            "`Patient.birthDate` does not repeat (line 1)",
            "Patient.birthDate",
        ),
        (
            patient('<maritalStatus id="a"/><maritalStatus id="b"/>'),
            "`Patient.maritalStatus` does not repeat (line 1)",
            "Patient.maritalStatus",
        ),
        (
            patient('<active value="yes"/>'),
            "`Patient.active` is `yes`, which is no boolean (line 1)",
            "Patient.active",
        ),
        (
            patient('<multipleBirthInteger value="1.0"/>'),
            "`Patient.multipleBirthInteger` is `1.0`, which is no integer (line 1)",
            "Patient.multipleBirthInteger",
        ),
        (
            patient("<birthDate/>"),
            "`Patient.birthDate` has neither value nor extension (line 1)",
            "Patient.birthDate",
        ),
        (
            patient("<active>true</active>"),
            "`Patient.active` holds text, `true`, where only elements may stand (line 1)",
            "Patient.active",
        ),
        (
            patient("<contained><Organization/><Organization/></contained>"),
            "`Patient.contained[0]` holds more than one resource (line 1)",
            "Patient.contained[0]",
        ),
        (
            patient('<x:active xmlns:x="x:y" value="true"/>'),
            "`Patient` holds `active` of namespace `x:y`; FHIR's is http://hl7.org/fhir (line 1)",
            "Patient",
        ),
        (
            patient(f'<text><div {XHTML}><svg xmlns="x:svg"/></div></text>'),
            "`Patient.text.div` holds `svg` of namespace `x:svg`; a narrative is XHTML (line 1)",
            "Patient.text.div",
        ),
        (
            patient('<language value="&nope;"/>'),
            "The body is not XML: undefined entity at line 1, column 38",
            None,
        ),
    ],
)
def test_what_is_not_xml_of_fhir_is_refused(text: bytes, message: str, expression: str | None) -> None:
    with pytest.raises(MalformedXMLError) as error:
        from_xml(text)
    assert (error.value.message, error.value.expression) == (message, expression)


def test_elements_that_refer_to_external_entities_are_refused() -> None:
    text = b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><Patient xmlns="http://hl7.org/fhir"/>'
    with pytest.raises(MalformedXMLError, match="document type"):
        from_xml(text)


def test_depth_is_limited() -> None:
    depth = 400
    text = '<extension url="a">' * depth + "</extension>" * depth
    with pytest.raises(NestedTooDeeplyError):
        from_xml(patient(text))


@given(resources(), st.data())
def test_mutated_xml_is_read_or_refused_and_never_fails_otherwise(
    resource: JsonObject, data: st.DataObject
) -> None:
    text = to_xml(resource)
    for _ in range(3):
        begin = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(begin, min(len(text), begin + 30)))
        piece = data.draw(
            st.sampled_from(
                [b"", b"<", b">", b"/>", b"<div>", b'id="a"', b"&nbsp;", b"<!--", b"\xff", b"</", b'"']
            )
            | st.just(text[begin:end] * 2)
        )
        text = text[:begin] + piece + text[end:]
    try:
        found = from_xml(text)
    except ExchangeError:
        return
    # What is read can be written, and is then read the same.
    assert from_xml(to_xml(found)) == found
