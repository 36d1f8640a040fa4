"""The structural validator accepts and refuses what fhir.resources does, but for the named differences."""

import json
from functools import cache
from pathlib import Path
from random import Random

import pytest

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.validation import r4
from fhir_server.validation.definition import ANY_RESOURCE, PRIMITIVE_EXTENSION, PRIMITIVE_TYPES
from fhir_server.validation.rules import RuleSet
from fhir_server.validation.structure import StructureValidator, load_definition
from hie.core.fhir.json import Json, JsonObject, loads
from tests.fhir_server.validation.differences import DIFFERENCES, OUTSIDE_VALUE_SET, Difference
from tests.fhir_server.validation.mutations import ANY_VALUES, GOOD_VALUES, copy, least, mutate, one_or_many
from tests.fhir_server.validation.referee import Verdict, judge, walk

VALIDATOR = StructureValidator()
# Without bindings: a code that is foreign to a value set must not hide another disagreement.
RULES = RuleSet(load_definition, R4_RESOURCE_TYPES)
STRICTER = [d for d in DIFFERENCES if d.is_stricter and d is not OUTSIDE_VALUE_SET]
LOOSER = [difference for difference in DIFFERENCES if not difference.is_stricter]
SEED = 20240229
LARGEST_EXAMPLE = 40_000  # bytes; larger ones repeat the same shapes at a hundred times the cost
LARGEST_MUTATED = 6_000  # bytes; in a larger one most places are never reached


def disagreement(type_name: str, value: JsonObject) -> str | None:
    """Return how the two differ about `value` beyond the named differences, None if they agree."""
    is_valid = RULES.rule(type_name)(value, 1) is None
    verdict = judge(type_name, value)
    if not is_valid and verdict is not Verdict.ACCEPTS:
        return None
    places = list(walk(type_name, value))
    stricter = [d.name for d in STRICTER if any(map(d.applies, places))]
    looser = any(d.applies(place) for d in LOOSER for place in places)
    if not value:
        stricter.append("empty")
    if stricter:
        return f"accepted in spite of {stricter}" if is_valid else None
    if looser or is_valid == (verdict is Verdict.ACCEPTS):
        return None
    return f"valid: {is_valid}, fhir.resources {verdict}"


@cache
def r4b_types() -> tuple[str, ...]:
    """Return every type reachable from the R4 resources that has an R4B class and is not checked from R4."""
    found: dict[str, None] = {}
    waiting = [name for name in R4_RESOURCE_TYPES if name not in r4.names()]
    while waiting:
        name = waiting.pop()
        definition = load_definition(name)
        if name in found or definition is None or name.partition(".")[0] in r4.names():
            continue
        found[name] = None
        waiting += [e.type for e in definition.elements if e.type not in PRIMITIVE_TYPES]
    return tuple(sorted(set(found) - {ANY_RESOURCE}))


def examples(folder: Path, largest: int) -> list[JsonObject]:
    return [
        resource
        for path in sorted(folder.glob("*.json"))
        if path.stat().st_size < largest
        and (resource := loads(path.read_bytes())).get("resourceType") in R4_RESOURCE_TYPES
        and resource["resourceType"] not in r4.names()
    ]


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.name)
def test_each_named_difference_is_one(difference: Difference) -> None:
    example = difference.example
    applying = {d.name for place in walk(ANY_RESOURCE, example) for d in DIFFERENCES if d.applies(place)}
    assert applying == {difference.name}
    assert VALIDATOR.is_valid(example) is not difference.is_stricter
    expected = Verdict.ACCEPTS if difference.is_stricter else (Verdict.REFUSES, Verdict.CRASHES)
    assert judge(example["resourceType"], example) in expected


def test_each_value_of_each_primitive_type_has_the_same_verdict() -> None:
    extra: list[Json] = [f"2024-{month:02}-{day:02}" for month in range(14) for day in range(33)]
    extra += [f"{year:04}-02-29T10:00:00Z" for year in range(1890, 1910)]
    for type_name in PRIMITIVE_TYPES - {"xhtml"}:
        name = f"value{type_name[0].upper()}{type_name[1:]}"
        for value in [*ANY_VALUES, *extra]:
            parameter = {"name": "a", name: value}
            assert disagreement("ParametersParameter", parameter) is None, (name, value)


def test_every_element_of_every_type_is_known_with_its_cardinality() -> None:
    random = Random(SEED)  # noqa: S311  # chooses test values
    for type_name in r4b_types():
        definition = load_definition(type_name)
        assert definition is not None
        smallest = least(type_name, random)
        assert disagreement(type_name, smallest) is None
        assert RULES.rule(type_name)(smallest, 1) is None, smallest
        for element in definition.elements:
            good = least(element.type, random)
            base = {
                name: value
                for name, value in smallest.items()
                if name not in {e.name for e in definition.choices().get(element.choice or "", [])}
            }
            full = {**base, element.name: one_or_many(element, good)}
            assert RULES.rule(type_name)(full, 1) is None, full
            assert disagreement(type_name, full) is None, full
            others = [
                good if element.is_list else [good],
                random.choice(ANY_VALUES),
                random.choice(ANY_VALUES),
            ]
            changed = [{**base, element.name: other} for other in others]
            changed.append(
                {**base, f"_{element.name}": one_or_many(element, least(PRIMITIVE_EXTENSION, random))}
            )
            changed.append({name: value for name, value in smallest.items() if name != element.name})
            for candidate in changed:
                assert disagreement(type_name, candidate) is None, (type_name, candidate)


def test_every_r4_example_has_the_same_verdict(conformance_data: Path) -> None:
    for resource in examples(conformance_data / "fhir" / "r4-examples", LARGEST_EXAMPLE):
        assert disagreement(resource["resourceType"], resource) is None, resource["id"]


def test_resources_of_synthea_have_the_same_verdict(conformance_data: Path) -> None:
    for path in sorted((conformance_data / "fhir" / "synthea-r4").glob("*.json"))[:3]:
        for entry in loads(path.read_bytes())["entry"]:
            resource = entry["resource"]
            assert VALIDATOR.is_valid(resource)
            assert disagreement(resource["resourceType"], resource) is None


def _check_mutations(resources: list[JsonObject], count: int) -> None:
    random = Random(SEED)  # noqa: S311  # chooses mutations
    for number in range(count):
        resource = copy(random.choice(resources))
        changes = [mutate(resource, random) for _ in range(random.choice((1, 1, 1, 2, 4)))]
        name = resource.get("resourceType")
        if not isinstance(name, str) or name not in R4_RESOURCE_TYPES:
            continue
        found = disagreement(name, resource)
        assert found is None, f"{number}: {found} after {changes}: {json.dumps(resource, default=str)[:2000]}"
        is_foreign = any(map(OUTSIDE_VALUE_SET.applies, walk(ANY_RESOURCE, resource)))
        is_valid = RULES.rule(name)(resource, 1) is None and not is_foreign
        assert VALIDATOR.is_valid(resource) is is_valid, f"{number}: {changes}: {resource}"
        assert (VALIDATOR.validate(resource) == []) is is_valid


def _smallest_resources() -> list[JsonObject]:
    random = Random(SEED)  # noqa: S311  # chooses test values
    found = [least(name, random) for name in R4_RESOURCE_TYPES if name not in r4.names()]
    assert all(map(VALIDATOR.is_valid, found))
    return found


def test_mutated_small_resources_have_the_same_verdict() -> None:
    _check_mutations(_smallest_resources(), 4_000)


def test_mutated_r4_examples_have_the_same_verdict(conformance_data: Path) -> None:
    _check_mutations(examples(conformance_data / "fhir" / "r4-examples", LARGEST_MUTATED), 2_000)


@pytest.mark.full
@pytest.mark.timeout(1500)
def test_very_many_mutated_resources_have_the_same_verdict(conformance_data: Path) -> None:
    _check_mutations(_smallest_resources(), 40_000)
    _check_mutations(examples(conformance_data / "fhir" / "r4-examples", LARGEST_MUTATED), 20_000)


@pytest.mark.full
@pytest.mark.timeout(1500)
def test_many_values_in_every_element_have_the_same_verdict() -> None:
    random = Random(SEED)  # noqa: S311  # chooses test values
    for type_name in r4b_types():
        definition = load_definition(type_name)
        assert definition is not None
        smallest = least(type_name, random)
        for element in definition.elements:
            for value in [*random.sample(ANY_VALUES, 25), *GOOD_VALUES.get(element.type, [])]:
                candidate = {**smallest, element.name: value}
                assert disagreement(type_name, candidate) is None, (type_name, candidate)
