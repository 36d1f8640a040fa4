"""Transaction Bundles that are refused: the whole outcome, and nothing is written."""

from collections.abc import Callable
from typing import Any

import pytest

from hie.core.fhir.json import Json
from hie.core.ports import TransactionResult
from tests.fhir_server.store.bundles import (
    SYSTEM,
    bundle,
    delete,
    observation,
    patient,
    post,
    put,
    upsert,
)
from tests.fhir_server.store.results import error_outcome, outcome

Transact = Callable[..., list[TransactionResult]]
CountRows = Callable[[], dict[str, int]]


REFUSED: list[tuple[Json, str, str, str]] = [
    ({"resourceType": "Patient"}, "invalid", "The resource is not a Bundle", "resourceType"),
    (
        {"resourceType": "Bundle", "type": "batch"},
        "invalid",
        "Bundle.type is `batch`, expected transaction",
        "Bundle.type",
    ),
    (bundle({"resource": patient()}), "invalid", "The entry has no request", "Bundle.entry[0].request"),
    (
        bundle(post({"resourceType": "Patientt"})),
        "not-supported",
        "`Patientt` is not a resource type of FHIR R4",
        "Bundle.entry[0].request.url",
    ),
    (
        bundle(put("Patient/1", patient(id="2"))),
        "invalid",
        "The resource's id is `2`, but the URL names `1`",
        "Bundle.entry[0].resource.id",
    ),
    (
        bundle(put("Patient/a_b", patient(id="a_b"))),
        "invalid",
        "`a_b` is not a FHIR id: 1 to 64 of the characters A-Z, a-z, 0-9, `-` and `.`",
        "Bundle.entry[0].request.url",
    ),
    (
        bundle({"request": {"method": "COPY", "url": "Patient/1"}}),
        "not-supported",
        "The method `COPY` is not supported in a Bundle",
        "Bundle.entry[0].request.method",
    ),
    (
        bundle(put("Patient/1", patient(id="1"), if_match='W/"3"')),
        "conflict",
        "If-Match names version 3 of `Patient/1`, the current version is none",
        "Bundle.entry[0].request.ifMatch",
    ),
    (
        bundle(put("Patient/1", patient(id="1")), delete("Patient/1")),
        "conflict",
        "The Bundle changes `Patient/1` more than once",
        "Bundle.entry[0].request.url",
    ),
    (
        bundle(upsert(patient("1")), upsert(patient("1"))),
        "conflict",
        "The Bundle changes `Patient/{id}` more than once",
        "Bundle.entry[1].request.url",
    ),
    (
        bundle(post(observation(f"Patient?identifier={SYSTEM}|none"))),
        "not-found",
        "The conditional reference Patient?identifier selects no resource",
        "Bundle.entry[0].resource.subject.reference",
    ),
    (
        bundle(post({"resourceType": "Observation", "status": "final"})),
        "required",
        "",
        "Bundle.entry[0].resource.code",
    ),
]


@pytest.mark.parametrize(("given", "code", "diagnostics", "expression"), REFUSED)
def test_a_refused_bundle_names_what_is_wrong_and_writes_nothing(
    transact: Transact,
    count_rows: CountRows,
    given: Json,
    code: str,
    diagnostics: str,
    expression: str,
) -> None:
    before = count_rows()
    (result,) = transact(given)
    found: dict[str, Any] = outcome(result)
    if "{id}" in diagnostics:
        told = found["issue"][0]["diagnostics"]
        diagnostics = diagnostics.replace("{id}", told.split("/")[1].split("`")[0])
    if not diagnostics:
        diagnostics = found["issue"][0]["diagnostics"]
        assert diagnostics
    assert found == error_outcome(code, diagnostics, expression)
    assert count_rows() == before


def test_criteria_that_match_several_resources_refuse_create_update_and_delete(
    transact: Transact, count_rows: CountRows
) -> None:
    transact(bundle(post(patient("1"))), bundle(post(patient("1"))))
    before = count_rows()
    condition = f"identifier={SYSTEM}|1"
    results = transact(
        bundle(upsert(patient("1"))),
        bundle(post(patient("1"), if_none_exist=condition)),
        bundle(delete(f"Patient?{condition}")),
        bundle(post(observation(f"Patient?{condition}"))),
    )
    several = "The criteria Patient?identifier select more than one resource"
    assert [outcome(result) for result in results] == [
        error_outcome("multiple-matches", several, "Bundle.entry[0].request.url"),
        error_outcome("multiple-matches", several, "Bundle.entry[0].request.ifNoneExist"),
        error_outcome("multiple-matches", several, "Bundle.entry[0].request.url"),
        error_outcome(
            "multiple-matches",
            "The conditional reference Patient?identifier selects more than one resource",
            "Bundle.entry[0].resource.subject.reference",
        ),
    ]
    assert count_rows() == before
