"""Membership in value sets: true, false, or not to be told; never guessed."""

from itertools import product

import pytest

from fhir_server.validation.conformance import LoadedResources
from fhir_server.validation.terminology import Terminology, all_of, any_of
from hie.core.fhir.json import Json, JsonObject

SYSTEM = "http://terms.example/colour"
ELSEWHERE = "http://terms.example/unknown"

COLOURS: JsonObject = {
    "resourceType": "CodeSystem",
    "url": SYSTEM,
    "version": "1",
    "content": "complete",
    "concept": [
        {
            "code": "red",
            "property": [{"code": "warm", "valueBoolean": True}],
            "concept": [{"code": "crimson", "concept": [{"code": "dark-crimson"}]}, {"code": "scarlet"}],
        },
        {"code": "blue", "property": [{"code": "kin", "valueCode": "cold"}]},
        {
            "code": "purple",
            "property": [{"code": "parent", "valueCode": "red"}, {"code": "parent", "valueCode": "blue"}],
        },
    ],
}


def value_set(name: str, *include: JsonObject, exclude: tuple[JsonObject, ...] = ()) -> JsonObject:
    compose: JsonObject = {"include": list(include)}
    if exclude:
        compose["exclude"] = list(exclude)
    return {"resourceType": "ValueSet", "url": f"http://terms.example/{name}", "compose": compose}


def filtered(op: str, value: str, prop: str = "concept", system: str = SYSTEM) -> JsonObject:
    return {"system": system, "filter": [{"property": prop, "op": op, "value": value}]}


def members(*definitions: JsonObject) -> set[str]:
    """Return the colours that the first value set has for sure."""
    terminology = Terminology(LoadedResources([*definitions, COLOURS]))
    terminology.refresh()
    codes = ["red", "crimson", "dark-crimson", "scarlet", "blue", "purple", "green"]
    answers = {code: terminology.has(definitions[0]["url"], code, SYSTEM) for code in codes}
    assert None not in answers.values()
    return {code for code, is_member in answers.items() if is_member}


WHOLE: JsonObject = {"system": SYSTEM}
ALL = {"red", "crimson", "dark-crimson", "scarlet", "blue", "purple"}


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        (WHOLE, ALL),
        ({"system": SYSTEM, "concept": [{"code": "red"}, {"code": "green"}]}, {"red", "green"}),
        (filtered("is-a", "red"), ALL - {"blue"}),
        (filtered("is-a", "blue"), {"blue", "purple"}),
        (filtered("descendent-of", "red"), ALL - {"blue", "red"}),
        (filtered("is-not-a", "red"), {"blue"}),
        (filtered("=", "true", "warm"), {"red"}),
        (filtered("=", "cold", "kin"), {"blue"}),
        (filtered("in", "cold, hot", "kin"), {"blue"}),
        (filtered("not-in", "cold,hot", "kin"), ALL - {"blue"}),
        (filtered("exists", "true", "kin"), {"blue"}),
        (filtered("exists", "false", "kin"), ALL - {"blue"}),
        (filtered("=", "blue", "code"), {"blue"}),
        (filtered("regex", "[a-c]*", "code"), set()),
        (filtered("regex", "[a-z]{4}", "code"), {"blue"}),
        ({"system": "http://terms.example/other"}, set()),
    ],
)
def test_what_a_value_set_selects(include: JsonObject, expected: set[str]) -> None:
    if include.get("filter", [{}])[0].get("op") == "regex":
        expected = expected or set()
    assert members(value_set("a", include)) == expected


def test_what_is_excluded_is_no_member() -> None:
    assert members(value_set("a", WHOLE, exclude=(filtered("is-a", "red"),))) == {"blue"}


def test_imported_value_sets_narrow_an_include_and_include_alone() -> None:
    warm = value_set("warm", filtered("is-a", "red"))
    imported: JsonObject = {"valueSet": [warm["url"]]}
    assert members(value_set("a", imported), warm) == ALL - {"blue"}
    assert members(value_set("a", {**filtered("is-a", "blue"), **imported}), warm) == {"purple"}


def test_a_circle_of_imports_cannot_be_told() -> None:
    one = value_set("one", {"valueSet": ["http://terms.example/two"]})
    two = value_set("two", {"valueSet": ["http://terms.example/one"]})
    assert Terminology(LoadedResources([one, two])).has(one["url"], "red") is None


@pytest.mark.parametrize(
    "include",
    [
        {"system": ELSEWHERE},
        filtered("is-a", "red", system=ELSEWHERE),
        filtered("generalizes", "red"),
        filtered("regex", "(a+)+", "code"),
        {"system": SYSTEM, "valueSet": ["http://terms.example/nowhere"]},
    ],
)
def test_what_cannot_be_told_is_neither_member_nor_not(include: JsonObject) -> None:
    terminology = Terminology(LoadedResources([value_set("a", include), COLOURS]))
    assert terminology.has("http://terms.example/a", "red", include["system"]) is None
    # another include may tell it all the same
    both = value_set("b", include, {"system": include["system"], "concept": [{"code": "red"}]})
    assert Terminology(LoadedResources([both, COLOURS])).has(both["url"], "red", include["system"]) is True


def test_a_code_system_that_is_not_complete_tells_nothing() -> None:
    fragment = {**COLOURS, "content": "fragment"}
    terminology = Terminology(LoadedResources([value_set("a", WHOLE), fragment]))
    assert terminology.has("http://terms.example/a", "green", SYSTEM) is None


def test_an_expansion_is_used_where_the_definition_cannot_tell() -> None:
    contains = [{"system": ELSEWHERE, "code": "a", "contains": [{"system": ELSEWHERE, "code": "b"}]}]
    expanded = {**value_set("a", {"system": ELSEWHERE}), "expansion": {"contains": contains}}
    terminology = Terminology(LoadedResources([expanded]))
    assert terminology.has(expanded["url"], "b", ELSEWHERE) is True
    assert terminology.has(expanded["url"], "c", ELSEWHERE) is None
    alone = {key: value for key, value in expanded.items() if key != "compose"}
    assert Terminology(LoadedResources([alone])).has(alone["url"], "c", ELSEWHERE) is False
    part = {**alone, "expansion": {"contains": contains, "total": 100}}
    assert Terminology(LoadedResources([part])).has(part["url"], "c", ELSEWHERE) is None


def test_hierarchies_of_r4_are_known_without_storing_them() -> None:
    own = value_set(
        "a",
        {"system": "http://hl7.org/fhir/observation-status"},
        exclude=(filtered("is-a", "entered-in-error", system="http://hl7.org/fhir/observation-status"),),
    )
    corrected = value_set("b", filtered("is-a", "amended", system="http://hl7.org/fhir/observation-status"))
    terminology = Terminology(LoadedResources([own, corrected]))
    status = "http://hl7.org/fhir/observation-status"
    assert terminology.has(own["url"], "final", status) is True
    assert terminology.has(own["url"], "entered-in-error", status) is False
    assert terminology.has(corrected["url"], "corrected", status) is True
    assert terminology.has(corrected["url"], "final", status) is False


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("red", True),
        ("green", False),
        ({"system": SYSTEM, "code": "red"}, True),
        ({"system": ELSEWHERE, "code": "red"}, False),
        ({"code": "red"}, False),
        ({"coding": [{"system": ELSEWHERE, "code": "x"}, {"system": SYSTEM, "code": "red"}]}, True),
        ({"coding": [{"display": "red"}]}, False),
        ({"text": "red"}, False),
        ({"value": 1, "unit": "red", "system": SYSTEM, "code": "red"}, True),
        (None, False),
        (5, False),
    ],
)
def test_a_code_a_coding_a_concept_and_a_quantity(value: Json, expected: bool) -> None:  # noqa: FBT001 # a row
    terminology = Terminology(LoadedResources([value_set("a", WHOLE), COLOURS]))
    assert terminology.has_concept("http://terms.example/a", value) is expected


def test_a_change_is_seen_after_refresh() -> None:
    resources = LoadedResources([value_set("a", WHOLE), COLOURS])
    terminology = Terminology(resources)
    terminology.refresh()
    assert terminology.has("http://terms.example/a", "red", SYSTEM) is True
    resources.add([value_set("a", {"system": SYSTEM, "concept": [{"code": "blue"}]})])
    terminology.refresh()
    assert terminology.has("http://terms.example/a", "red", SYSTEM) is False


def test_a_version_is_found_by_its_name_and_the_latest_without() -> None:
    old, new = ({**value_set("a", WHOLE), "version": version} for version in ("1", "2"))
    loaded = LoadedResources([old, new])
    assert loaded.find("ValueSet", f"{old['url']}|1") is old
    assert loaded.find("ValueSet", old["url"]) is new
    assert loaded.find("ValueSet", f"{old['url']}|3") is None


def test_the_logic_of_three_values() -> None:
    values = (True, False, None)
    for one, other in product(values, values):
        assert all_of((one, other)) is (
            False if False in (one, other) else None if None in (one, other) else True
        )
        assert any_of((one, other)) is (
            True if True in (one, other) else None if None in (one, other) else False
        )
    assert all_of(()) is True
    assert any_of(()) is False
