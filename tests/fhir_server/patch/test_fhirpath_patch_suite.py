"""HL7's own cases of FHIRPath Patch, for R4 and, where their elements are R4's, R4B and R5."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from fhir_server.patch.fhirpath_patch import apply_fhirpath_patch
from hie.core.errors import ExchangeError
from hie.core.fhir.json import JsonObject
from hie.core.fhir.xml_read import from_xml
from hie.core.fhirpath.equality import canonical
from tests.fhir_server.patch.narrative import without_layout

ET.register_namespace("", "http://hl7.org/fhir")


def _resource(case: ET.Element, name: str) -> JsonObject:
    found = case.find(name)
    assert found is not None
    return from_xml(ET.tostring(found[0], encoding="utf-8"))


# This one is no FHIR: its XML has `<reference reference="Device/1"/>` in the patch and in the output.
_UNREADABLE = "Add extension"


@pytest.mark.parametrize(("release", "count"), [("r4", 33), ("r4b", 32), ("r5", 34)])
def test_every_case_of_hl7_gives_its_output(conformance_data: Path, release: str, count: int) -> None:
    file = conformance_data / f"fhir/fhir-test-cases/{release}/patch/fhir-patch-tests.xml"
    cases = ET.parse(file).getroot().findall("case")  # noqa: S314 # the suite is a file of HL7's
    failures: dict[str, str] = {}
    for case in cases:
        if case.get("name") == _UNREADABLE:
            with pytest.raises(ExchangeError, match="has no attribute `reference`"):
                _resource(case, "diff")
            continue
        given = _resource(case, "input")
        before = canonical(given)
        try:
            got = apply_fhirpath_patch(given, _resource(case, "diff"))
        except ExchangeError as error:
            if case.find("error") is None:
                failures[str(case.get("name"))] = error.message
        else:
            if case.find("error") is not None or without_layout(got) != without_layout(
                _resource(case, "output")
            ):
                failures[str(case.get("name"))] = str(got)
        assert canonical(given) == before
    assert (failures, len(cases)) == ({}, count)
