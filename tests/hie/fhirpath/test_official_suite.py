"""HL7's suite of FHIRPath for R4, in its current and an older edition: all run, and those listed fail."""

import json
from pathlib import Path

import pytest

from tests.hie.fhirpath.suite import cases_of, failure_of

_EXPECTED: dict[str, dict[str, str]] = json.loads(
    Path(__file__).with_name("expected_failures.json").read_text()
)


@pytest.mark.parametrize(
    ("suite", "count"),
    [
        ("fhir/fhir-test-cases/r4/fhirpath/tests-fhir-r4.xml", 935),
        ("fhir/fhir-test-cases-inputs/data/r4/tests-fhir-r4.xml", 683),
    ],
)
def test_every_case_passes_but_those_that_are_listed(conformance_data: Path, suite: str, count: int) -> None:
    cases = list(cases_of(conformance_data / suite))
    failures = {
        case.name: f"`{case.expression}` {reason}"
        for case in cases
        if (reason := failure_of(case, conformance_data)) is not None
    }
    expected = _EXPECTED[suite]
    print(f"{suite}: {len(cases) - len(failures)} of {len(cases)} cases pass")
    assert {name: reason for name, reason in failures.items() if name not in expected} == {}
    assert sorted(failures) == sorted(expected)
    assert len(cases) == count
