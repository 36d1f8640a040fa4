"""The OpenAPI document describes every route of the FHIR API, and names nothing that is not there."""

from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute

from fhir_server import openapi
from fhir_server.definitions.value_sets import code_system
from fhir_server.router import build_router
from hie import wiring
from hie.core.fhir.json import Json, JsonObject
from hie.core.settings import Settings
from tests.fhir_server.bad_input.api import OBSERVATION


@pytest.fixture(scope="module")
def routes() -> list[APIRoute]:
    with wiring.build(Settings(), database_url="postgresql://nobody@127.0.0.1:1/none") as exchange:
        router = build_router(exchange.repository, exchange.database, exchange.settings)
    return [each for each in router.routes if isinstance(each, APIRoute) and each.include_in_schema]


@pytest.fixture(scope="module")
def document() -> JsonObject:
    with wiring.build(Settings(), database_url="postgresql://nobody@127.0.0.1:1/none") as exchange:
        return openapi.document(
            "HIE", "1", build_router(exchange.repository, exchange.database, exchange.settings)
        )


def nested(value: Json) -> Iterator[JsonObject]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from nested(each)
    elif isinstance(value, list):
        for each in value:
            yield from nested(each)


def test_every_route_is_described_by_what_it_does(routes: list[APIRoute], document: JsonObject) -> None:
    for route in routes:
        for method in route.methods or ():
            operation = document["paths"][route.path_format][method.lower()]
            assert {"4XX", "5XX"} <= operation["responses"].keys()
    assert {route.name for route in routes} <= openapi.DESCRIBED


def test_every_parameter_of_a_path_is_declared(document: JsonObject) -> None:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            declared = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert declared == {part.partition("}")[0] for part in path.split("{")[1:]}
            assert ("requestBody" in operation) <= (methods.get("get") is not operation)


def test_operation_ids_are_unique(document: JsonObject) -> None:
    found = [each["operationId"] for methods in document["paths"].values() for each in methods.values()]
    assert len(found) == len(set(found))


def test_every_reference_resolves(document: JsonObject) -> None:
    references = {each["$ref"] for each in nested(document) if isinstance(each.get("$ref"), str)}
    assert references
    for reference in references:
        _, _, name = reference.rpartition("#/components/schemas/")
        assert name in document["components"]["schemas"]


def test_the_codes_of_an_outcome_are_those_of_fhir(document: JsonObject) -> None:
    issue = document["components"]["schemas"]["OperationOutcome"]["properties"]["issue"]["items"][
        "properties"
    ]
    for element, system in (("severity", "issue-severity"), ("code", "issue-type")):
        codes = code_system(f"http://hl7.org/fhir/{system}")
        assert codes is not None
        assert set(issue[element]["enum"]) == codes.codes


def test_a_reader_finds_how_to_create_a_resource(document: JsonObject) -> None:
    create = document["paths"]["/fhir/{resource_type}"]["post"]
    (kind,) = (each for each in create["parameters"] if each["name"] == "resource_type")
    assert OBSERVATION["resourceType"] in kind["schema"]["enum"]
    assert {"application/fhir+json", "application/fhir+xml"} <= create["requestBody"]["content"].keys()
    assert {"200", "201"} <= create["responses"].keys()
