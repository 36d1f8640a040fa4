"""`_include`, `_revinclude`, `:iterate`, `_elements` and `_summary`."""

import pytest

from fhir_server.index.indexer import Indexer
from fhir_server.search.service import SearchService
from hie.core.db.database import Database
from hie.core.fhir.json import JsonObject, loads
from hie.core.settings import Settings
from tests.fhir_server.search import stored

RESOURCES: list[JsonObject] = [
    {"resourceType": "Organization", "id": "city"},
    {"resourceType": "Organization", "id": "ward", "partOf": {"reference": "Organization/city"}},
    {
        "resourceType": "Patient",
        "id": "p1",
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">p1</div>'},
        "birthDate": "1980-01-01",
        "_birthDate": {"id": "b"},
        "photo": [{"title": "x"}],
        "managingOrganization": {"reference": "Organization/ward"},
    },
    {"resourceType": "Patient", "id": "p2", "managingOrganization": {"reference": "Organization/none"}},
    *(
        {
            "resourceType": "Observation",
            "id": f"o{number}",
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": f"Patient/p{number % 2 + 1}"},
            "derivedFrom": [{"reference": f"Observation/o{number - 1}"}] if number else [],
        }
        for number in range(4)
    ),
]


@pytest.fixture(scope="module")
def linked(module_database: Database, indexer: Indexer) -> Database:
    with module_database.transaction() as transaction:
        stored.put(transaction.connection, indexer, RESOURCES)
    return module_database


@pytest.mark.parametrize(
    ("resource_type", "parameters", "included"),
    [
        ("Patient", [("_include", "Patient:organization")], {"Organization/ward"}),
        ("Patient", [("_include", "Patient:organization:Organization")], {"Organization/ward"}),
        ("Patient", [("_include", "Patient:organization:Patient")], set()),
        ("Patient", [("_include", "Patient:general-practitioner")], set()),
        ("Patient", [("_include", "*")], {"Organization/ward"}),
        ("Patient", [("_include", "Patient:*")], {"Organization/ward"}),
        (
            "Patient",
            [("_include", "Patient:organization"), ("_include", "Organization:partof")],
            {"Organization/ward"},
        ),
        (
            "Patient",
            [("_include", "Patient:organization"), ("_include:iterate", "Organization:partof")],
            {"Organization/ward", "Organization/city"},
        ),
        ("Patient", [("_include:iterate", "*")], {"Organization/ward", "Organization/city"}),
        (
            "Patient",
            [("_revinclude", "Observation:subject")],
            {"Observation/o0", "Observation/o1", "Observation/o2", "Observation/o3"},
        ),
        (
            "Patient",
            [("_id", "p1"), ("_revinclude", "Observation:patient")],
            {"Observation/o0", "Observation/o2"},
        ),
        (
            "Patient",
            [("_id", "p1"), ("_revinclude", "Observation:*")],
            {"Observation/o0", "Observation/o2"},
        ),
        (
            "Observation",
            [("_id", "o3"), ("_include:iterate", "Observation:derived-from")],
            {"Observation/o0", "Observation/o1", "Observation/o2"},
        ),
        (
            "Observation",
            [("_id", "o3"), ("_include", "Observation:derived-from")],
            {"Observation/o2"},
        ),
        (
            "Organization",
            [
                ("_id", "city"),
                ("_revinclude", "Organization:partof"),
                ("_revinclude:iterate", "Patient:organization"),
            ],
            {"Organization/ward", "Patient/p1"},
        ),
    ],
)
def test_included_resources_come_after_the_matches_each_once(
    linked: Database,
    service: SearchService,
    resource_type: str,
    parameters: list[tuple[str, str]],
    included: set[str],
) -> None:
    with linked.transaction() as transaction:
        page = service.search(transaction, resource_type, parameters)
    modes = [entry.mode for entry in page.entries]
    assert modes == sorted(modes, key=["match", "include"].index)
    found = [f"{each.resource.type}/{each.resource.id}" for each in page.entries if each.mode == "include"]
    assert sorted(found) == sorted(included)


def test_includes_beyond_the_limit_follow_on_next_pages_and_then_the_matches_go_on(
    linked: Database, settings: Settings
) -> None:
    service = SearchService(settings.model_copy(update={"include_limit": 3}))
    parameters = [("_revinclude", "Observation:subject"), ("_count", "2")]
    pages: list[list[tuple[str, str]]] = []
    with linked.transaction() as transaction:
        whole = SearchService(settings).search(transaction, "Patient", parameters[:1])
        cursor: str | None = ""
        while cursor is not None:
            behind = [("_cursor", cursor)] if cursor else []
            page = service.search(transaction, "Patient", parameters + behind)
            pages.append([(entry.mode, entry.resource.id) for entry in page.entries])
            cursor = page.next_cursor
    shown = [entry for page in pages for entry in page]
    assert sorted(shown) == sorted({(entry.mode, entry.resource.id) for entry in whole.entries})
    assert all([mode for mode, _ in page].count("include") <= 3 for page in pages)
    assert len(pages) > len([page for page in pages if "match" in {mode for mode, _ in page}])


@pytest.mark.parametrize(
    ("name", "value", "elements"),
    [
        ("_elements", "birthDate", {"birthDate", "_birthDate"}),
        ("_elements", "Patient.photo,active", {"photo"}),
        ("_summary", "text", {"text"}),
        ("_summary", "data", {"birthDate", "_birthDate", "photo", "managingOrganization"}),
        ("_summary", "true", {"birthDate", "_birthDate", "managingOrganization"}),
        ("_summary", "false", {"text", "birthDate", "_birthDate", "photo", "managingOrganization"}),
    ],
)
def test_part_of_a_resource_is_tagged_subsetted(
    linked: Database, service: SearchService, name: str, value: str, elements: set[str]
) -> None:
    with linked.transaction() as transaction:
        page = service.search(transaction, "Patient", [("_id", "p1"), (name, value)])
    resource = loads(page.entries[0].resource.body or b"")
    assert set(resource) == {"resourceType", "id", "meta", *elements}
    tags = [tag["code"] for tag in resource["meta"].get("tag", [])]
    assert tags == ([] if value == "false" else ["SUBSETTED"])
    assert resource["meta"]["versionId"] == "1"


def test_elements_cut_the_matches_and_not_what_comes_along(linked: Database, service: SearchService) -> None:
    parameters = [("_id", "o0"), ("_elements", "status"), ("_include", "Observation:subject")]
    with linked.transaction() as transaction:
        match, included = service.search(transaction, "Observation", parameters).entries
    assert set(loads(match.resource.body or b"")) == {"resourceType", "id", "meta", "status", "code"}
    assert "photo" in loads(included.resource.body or b"")
