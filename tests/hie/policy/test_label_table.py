"""The table of sensitive codes: what it covers, that the quick look misses nothing, and what it refuses."""

from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.definitions.value_sets import code_system
from hie.core.errors import ConfigurationError
from hie.core.fhir.json import JsonObject
from hie.core.fhir.structure import element_at
from hie.policy.label_table import load_labels, read_labels
from hie.policy.labelling import Labelling, labels_of, with_labels
from hie.policy.policy import load_policy

TABLE = load_labels()
ICD = "http://hl7.org/fhir/sid/icd-10"
LOINC = "http://loinc.org"
LABELLING = Labelling(TABLE, load_policy().sensitive, "http://hie.example/fhir", is_lasting=True)
RAW: JsonObject = {"systems": {}, "labels": {}, "rules": [], "derived": {}}


@pytest.mark.parametrize(
    ("system", "code", "labels"),
    [
        (ICD, "B20", {"HIV", "R"}),
        (ICD, "B24.x01", {"HIV", "R"}),
        (ICD, "B25.0", set()),
        (ICD, "A64", {"STD", "R"}),
        (ICD, "F10.2", {"SUD", "ETH", "R"}),
        (ICD, "F32.900", {"PSY", "R"}),
        (ICD, "O04", {"SEX", "R"}),
        (ICD, "O80.9", set()),
        (ICD, "Z31.5", {"SEX", "R"}),
        (ICD, "Z38.0", set()),
        (ICD, "T74.1", {"SDV", "V"}),
        (ICD, "B2", set()),
        (LOINC, "31201-7", {"HIV", "R"}),
        (LOINC, "31201-70", set()),
        ("http://www.whocc.no/atc", "J05AR20", {"HIV", "R"}),
        ("urn:other", "B20", set()),
    ],
)
def test_a_code_has_the_labels_of_what_it_lies_beneath(system: str, code: str, labels: set[str]) -> None:
    assert {label for _, label in TABLE.of_code(system, code)} == labels


def test_labels_are_codes_of_their_systems_and_known_to_the_policy() -> None:
    for system, code in TABLE.labels:
        known = code_system(system)
        assert known is not None
        assert code in known.codes, code
    assert load_policy().sensitive >= TABLE.labels


def test_what_resources_are_derived_from_are_elements_of_r4() -> None:
    for kind, paths in TABLE.derived.items():
        for path in paths:
            *above, last = path
            found = element_at(".".join([kind, *above]), last)
            assert found is not None, (kind, path)
            assert found[1] == "Reference", (kind, path)


BEGINNINGS = sorted({each for rule in TABLE.rules for each in rule.beginnings | rule.codes})
CODES = st.one_of(
    st.sampled_from(BEGINNINGS),
    st.tuples(st.sampled_from(BEGINNINGS), st.text("0123456789.x", max_size=4)).map("".join),
    st.from_regex(r"[A-Z][0-9]{2}(\.[0-9])?", fullmatch=True),
)
SYSTEMS = st.sampled_from(sorted({each for rule in TABLE.rules for each in rule.systems}))


@given(SYSTEMS, CODES, st.lists(st.sampled_from(["code", "contained", "component"]), max_size=3))
def test_what_is_read_at_a_glance_misses_no_code(system: str, code: str, path: list[str]) -> None:
    value: object = {"coding": [{"system": system, "code": code}]}
    for name in path:
        value = [{name: value}]
    content: JsonObject = {"resourceType": "Observation", "id": "1", "code": value}
    made = LABELLING.own(content, orjson.dumps(content, option=orjson.OPT_SORT_KEYS))
    assert set(labels_of(made)) == set(TABLE.of_code(system, code))


LABEL = st.tuples(st.sampled_from(["urn:a", "urn:b"]), st.sampled_from("xyz"))


@given(st.lists(LABEL), st.lists(LABEL, unique=True))
def test_labels_are_added_once_and_none_goes(
    before: list[tuple[str, str]], new: list[tuple[str, str]]
) -> None:
    content: JsonObject = {
        "resourceType": "Basic",
        "meta": {"security": [{"system": system, "code": code} for system, code in before]},
        "code": {"text": "x"},
    }
    once = with_labels(content, new)
    assert labels_of(once)[: len(before)] == before
    assert set(labels_of(once)) == {*before, *new}
    assert with_labels(once, new) is once
    assert {**once, "meta": content["meta"]} == content


@pytest.mark.parametrize(
    "rule",
    [
        {"name": "x", "system": "s", "codes": ["B24-B20"], "labels": []},
        {"name": "x", "system": "s", "codes": ["B20-C24"], "labels": []},
        {"name": "x", "system": "s", "codes": ['B"'], "labels": []},
        {"name": "x", "system": "s", "codes": ["乙肝"], "labels": []},
        {"name": "x", "codes": ["B20"], "labels": []},
        {"system": "s", "codes": ["B20"], "labels": []},
        "B20",
    ],
    ids=["backwards", "two letters", "quote", "not ASCII", "no system", "no name", "no rule"],
)
def test_a_rule_that_is_not_of_its_form_is_refused(rule: object) -> None:
    with pytest.raises(ConfigurationError):
        read_labels(RAW, {"rules": [rule]})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="absent"):
        load_labels(tmp_path / "absent.yaml")


def test_a_table_without_rules_suspects_nothing() -> None:
    assert read_labels(RAW).suspicious.search(b'{"code":"B20"}') is None
