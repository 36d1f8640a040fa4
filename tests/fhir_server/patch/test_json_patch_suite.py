"""The cases of JSON Patch that come with FHIR's, which are those of RFC 6902, appendix A."""

import json
from pathlib import Path

import pytest

from fhir_server.patch.json_patch import apply_json_patch
from hie.core.language_errors import PatchError


@pytest.mark.parametrize("release", ["r4", "r4b", "r5"])
def test_every_case_gives_its_result(conformance_data: Path, release: str) -> None:
    cases = json.loads(
        (conformance_data / f"fhir/fhir-test-cases/{release}/patch/json-patch-tests.json").read_text()
    )
    assert len(cases) == 16
    for case in cases:
        before = json.dumps(case["doc"])
        if "error" in case:
            with pytest.raises(PatchError):
                apply_json_patch(case["doc"], case["patch"])
        else:
            assert apply_json_patch(case["doc"], case["patch"]) == case["expected"], case["comment"]
        assert json.dumps(case["doc"]) == before
