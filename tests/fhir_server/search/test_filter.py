"""`_filter`, `_list`, full text and searches of several types."""

import pytest

from fhir_server.index.indexer import Indexer
from fhir_server.search.service import SearchService
from hie.core.access import EVERYTHING, NOTHING, Readable
from hie.core.db.database import Database
from hie.core.errors import MalformedSearchError, UnknownSearchParameterError
from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings
from tests.fhir_server.search import stored
from tests.fhir_server.search.conftest import FixedClock

RESOURCES: list[JsonObject] = [
    {
        "resourceType": "Patient",
        "id": "anna",
        "meta": {"tag": [{"system": "http://t", "code": "x"}]},
        "name": [{"family": "Peters", "given": ["Anna"]}],
        "gender": "female",
        "birthDate": "1990-03-01",
        "text": {
            "status": "generated",
            "div": '<div xmlns="http://www.w3.org/1999/xhtml"><b>Anna</b> &amp; 糖尿病</div>',
        },
    },
    {
        "resourceType": "Patient",
        "id": "ben",
        "name": [{"family": "Klein", "given": ["Ben", "Peter"]}],
        "gender": "male",
        "birthDate": "2001",
        "address": [{"city": "郑州", "text": "Nothing here"}],
    },
    {"resourceType": "Patient", "id": "nobody"},
    {"resourceType": "Organization", "id": "tagged", "meta": {"tag": [{"system": "http://t", "code": "x"}]}},
    {
        "resourceType": "Observation",
        "id": "of-anna",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "1234-5"}]},
        "subject": {"reference": "Patient/anna"},
        "effectivePeriod": {"start": "2024-01-01", "end": "2024-02-01"},
        "valueQuantity": {"value": 7},
    },
    {
        "resourceType": "Observation",
        "id": "of-ben",
        "status": "final",
        "code": {"coding": [{"code": "a"}, {"code": "b"}]},
        "subject": {"reference": "Patient/ben"},
        "effectiveDateTime": "2024-06-01",
    },
    {
        "resourceType": "List",
        "id": "rounds",
        "status": "current",
        "mode": "working",
        "entry": [{"item": {"reference": "Patient/ben"}}, {"item": {"reference": "Observation/of-anna"}}],
    },
    {
        "resourceType": "List",
        "id": "of-anna",
        "status": "current",
        "mode": "working",
        "entry": [{"item": {"reference": "Patient/anna"}}],
    },
    *(
        {
            "resourceType": "AllergyIntolerance",
            "id": identifier,
            "patient": {"reference": "Patient/anna"},
            "clinicalStatus": {"coding": [{"code": status}]},
            "category": [category],
        }
        for identifier, status, category in (
            ("nuts", "active", "food"),
            ("penicillin", "active", "medication"),
            ("cured", "resolved", "food"),
        )
    ),
]


@pytest.fixture(scope="module")
def without_text(settings: Settings) -> SearchService:
    return SearchService(settings.model_copy(update={"full_text": False}), clock=FixedClock())


@pytest.fixture(scope="module")
def people(module_database: Database, service: SearchService) -> Database:
    with module_database.transaction() as transaction:
        stored.put(transaction.connection, service.indexer, RESOURCES)
    return module_database


@pytest.mark.parametrize(
    ("resource_type", "text", "expected"),
    [
        ("Patient", 'name co "pet"', "anna ben"),
        ("Patient", 'given eq "peter" and birthdate ge 2000-10-10', "ben"),
        ("Patient", "given eq PETER", "ben"),
        ("Patient", "given eq Pete", ""),
        ("Patient", "given sw pete", "ben"),
        ("Patient", "given ew ter", "ben"),
        ("Patient", "given ne Peter", "anna ben"),
        ("Patient", "family ne klein", "anna"),
        ("Patient", "gender eq female or gender eq male and birthdate lt 2000", "anna"),
        ("Patient", "gender eq female or (gender eq male and birthdate gt 2001)", "anna"),
        ("Patient", "gender eq female or (gender eq male and birthdate ge 2001)", "anna ben"),
        ("Patient", "not (gender eq female)", "ben nobody"),
        ("Patient", "gender ne female", "ben"),
        ("Patient", "birthdate pr true", "anna ben"),
        ("Patient", "birthdate pr false", "nobody"),
        ("Patient", "birthdate po 1990-03", "anna"),
        ("Patient", "_id eq anna", "anna"),
        ("Observation", "code eq http://loinc.org|1234-5", "of-anna"),
        ("Observation", "code ne a", "of-anna of-ben"),
        ("Observation", 'subject.name co "pet"', "of-anna of-ben"),
        ("Observation", "subject:Patient.gender eq male", "of-ben"),
        ("Observation", "subject re Patient/ben", "of-ben"),
        ("Observation", "date po 2024-01-15", "of-anna"),
        ("Observation", "date eb 2024-03-01", "of-anna"),
        ("Observation", "date sa 2024-03-01", "of-ben"),
        ("Observation", "value-quantity ap 7.5", "of-anna"),
        ("Observation", "value-quantity gt 7", ""),
        ("Observation", "subject[gender eq male].name co pet", "of-ben"),
        ("Observation", 'subject[gender eq male and name sw "an"].name co pet', ""),
        ("Observation", "subject[not (gender eq male)]._id eq anna", "of-anna"),
        ("Observation", 'code eq "a"', "of-ben"),
    ],
)
def test_filter_finds_what_its_expression_says(
    people: Database, service: SearchService, resource_type: str, text: str, expected: str
) -> None:
    with people.transaction() as transaction:
        page = service.search(transaction, resource_type, [("_filter", text)])
    assert {entry.resource.id for entry in page.entries} == set(expected.split())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name", "one of eq"),
        ("name xx y", "one of eq"),
        ("name eq", "a value is expected"),
        ("(name eq x", "`)` is expected"),
        ("name eq x)", "the end is expected"),
        ("name eq x and", "name of a search parameter"),
        ("gender co x", "does not compare codes"),
        ("birthdate co 1990", "does not compare values of type date"),
        ("subject[gender eq male] eq x", "a name behind the brackets"),
        ("name:exact eq x", "no modifier"),
        ("(" * 30 + "name eq x" + ")" * 30, "nested deeper"),
        ('name eq "\\q"', "not a JSON string"),
    ],
)
def test_filter_that_cannot_be_read_names_the_place(
    people: Database, service: SearchService, text: str, message: str
) -> None:
    with people.transaction() as transaction, pytest.raises(MalformedSearchError) as caught:
        service.search(transaction, "Patient", [("_filter", text)])
    assert message in caught.value.message
    assert str(caught.value.expression).startswith("Patient.")


def test_filter_by_an_unknown_parameter_is_refused(people: Database, service: SearchService) -> None:
    with people.transaction() as transaction, pytest.raises(UnknownSearchParameterError, match="nonsense"):
        service.search(transaction, "Patient", [("_filter", "nonsense eq x")])


@pytest.mark.parametrize(
    ("resource_type", "value", "expected"),
    [
        ("Patient", "rounds", "ben"),
        ("Observation", "List/rounds", "of-anna"),
        ("Patient", "nowhere", ""),
        ("AllergyIntolerance", "$current-allergies", "nuts penicillin"),
        ("AllergyIntolerance", "$current-drug-allergies", "penicillin"),
    ],
)
def test_list_finds_its_items(
    people: Database, service: SearchService, resource_type: str, value: str, expected: str
) -> None:
    with people.transaction() as transaction:
        page = service.search(transaction, resource_type, [("_list", value)])
    assert {entry.resource.id for entry in page.entries} == set(expected.split())


@pytest.mark.parametrize(("resource_type", "value"), [("Patient", "$current-allergies"), ("Patient", "$x")])
def test_list_that_the_server_does_not_keep_is_refused(
    people: Database, service: SearchService, resource_type: str, value: str
) -> None:
    with people.transaction() as transaction, pytest.raises(MalformedSearchError):
        service.search(transaction, resource_type, [("_list", value)])


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("_text", "anna", "anna"),
        ("_text", "糖", "anna"),
        ("_text", "糖尿病", "anna"),
        ("_text", "尿糖", ""),
        ("_text", "ann*", "anna"),
        ("_text", "ben", ""),
        ("_text", "ben,anna", "anna"),
        ("_content", "郑州", "ben"),
        ("_content", "nothing KLEIN", "ben"),
        ("_content", "nothing anna", ""),
        ("_content", "1990*", "anna"),
    ],
)
def test_full_text_finds_the_words(
    people: Database, service: SearchService, name: str, value: str, expected: str
) -> None:
    with people.transaction() as transaction:
        page = service.search(transaction, "Patient", [(name, value)])
    assert {entry.resource.id for entry in page.entries} == set(expected.split())


def test_full_text_that_is_off_names_the_setting(people: Database, without_text: SearchService) -> None:
    with people.transaction() as transaction, pytest.raises(UnknownSearchParameterError, match="full_text"):
        without_text.search(transaction, "Patient", [("_text", "anna")])


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ([("_tag", "x")], {"Patient/anna", "Organization/tagged"}),
        ([("_tag", "x"), ("_type", "Organization")], {"Organization/tagged"}),
        (
            [("_type", "Patient,List")],
            {"Patient/anna", "Patient/ben", "Patient/nobody", "List/rounds", "List/of-anna"},
        ),
        ([("_id", "anna,rounds")], {"Patient/anna", "List/rounds"}),
        ([("_type", "Device")], set()),
        (
            [("_type", "Patient,Observation"), ("_has:List:item:_id", "rounds")],
            {"Patient/ben", "Observation/of-anna"},
        ),
    ],
)
def test_search_of_several_types_is_the_union_of_their_searches(
    people: Database, service: SearchService, parameters: list[tuple[str, str]], expected: set[str]
) -> None:
    with people.transaction() as transaction:
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            behind = [("_cursor", cursor)] if cursor else []
            page = service.answer(transaction, "", [*parameters, ("_count", "1"), *behind]).page
            seen += [f"{entry.resource.type}/{entry.resource.id}" for entry in page.entries]
            cursor = page.next_cursor
        total = service.answer(transaction, "", [*parameters, ("_summary", "count")]).page.total
    assert len(seen) == len(set(seen)) == total
    assert set(seen) == expected


def test_search_of_several_types_refuses_a_parameter_that_one_does_not_have(
    people: Database, service: SearchService
) -> None:
    with people.transaction() as transaction:
        with pytest.raises(UnknownSearchParameterError):
            service.answer(transaction, "", [("_type", "Patient,Observation"), ("birthdate", "1990")])
        with pytest.raises(MalformedSearchError, match="Nonsense"):
            service.answer(transaction, "", [("_type", "Nonsense")])


def _only_anna(resource_type: str) -> Readable:
    if resource_type == "Patient":
        return Readable(((("_id", "anna"),),))
    if resource_type == "Observation":
        return Readable(((("patient", "Patient/anna"),),))
    return NOTHING if resource_type == "List" else EVERYTHING


@pytest.mark.parametrize(
    ("resource_type", "parameters", "expected"),
    [
        ("Patient", [], {"Patient/anna"}),
        ("Patient", [("gender", "male")], set()),
        ("Observation", [], {"Observation/of-anna"}),
        ("List", [], set()),
        ("Observation", [("patient.gender", "male")], set()),
        ("Observation", [("_filter", "patient[gender eq male]._id pr true")], set()),
        ("Patient", [("_has:Observation:patient:status", "final")], {"Patient/anna"}),
        ("Patient", [("_has:List:item:_id", "of-anna")], set()),
        ("Patient", [("_list", "of-anna")], set()),
        ("Observation", [("_list", "rounds")], set()),
        (
            "AllergyIntolerance",
            [("_id", "nuts"), ("_include", "*")],
            {"AllergyIntolerance/nuts", "Patient/anna"},
        ),
        ("Patient", [("_revinclude", "Observation:subject")], {"Patient/anna", "Observation/of-anna"}),
        ("", [("_type", "Patient,Observation,List")], {"Patient/anna", "Observation/of-anna"}),
    ],
)
def test_filters_of_access_hold_for_matches_chains_and_includes(
    people: Database,
    service: SearchService,
    resource_type: str,
    parameters: list[tuple[str, str]],
    expected: set[str],
) -> None:
    with people.transaction() as transaction:
        page = service.answer(transaction, resource_type, parameters, filters=_only_anna).page
    assert {f"{entry.resource.type}/{entry.resource.id}" for entry in page.entries} == expected


def test_what_narrows_the_matches_does_not_narrow_what_comes_along(
    people: Database, service: SearchService
) -> None:
    def within(resource_type: str) -> Readable:
        return Readable(((("patient", "Patient/anna"),),)) if resource_type == "Observation" else NOTHING

    parameters = [("_include", "Observation:subject")]
    with people.transaction() as transaction:
        page = service.answer(transaction, "Observation", parameters, within=within).page
    assert [f"{entry.resource.type}/{entry.resource.id}" for entry in page.entries] == [
        "Observation/of-anna",
        "Patient/anna",
    ]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("gender", ["anna", "ben", "nobody"]),
        ("-gender", ["ben", "anna", "nobody"]),
        ("family", ["ben", "anna", "nobody"]),
        ("-birthdate", ["ben", "anna", "nobody"]),
        ("gender,-_id", ["anna", "ben", "nobody"]),
        ("-_id", ["nobody", "ben", "anna"]),
    ],
)
def test_sort_puts_resources_in_the_order_of_a_parameter_and_those_without_last(
    people: Database, service: SearchService, sort: str, expected: list[str]
) -> None:
    with people.transaction() as transaction:
        page = service.search(transaction, "Patient", [("_sort", sort)])
    assert [entry.resource.id for entry in page.entries] == expected


def test_sort_by_a_reference_goes_by_the_id_that_it_leads_to(
    people: Database, service: SearchService
) -> None:
    with people.transaction() as transaction:
        page = service.search(transaction, "Observation", [("_sort", "-subject")])
    assert [entry.resource.id for entry in page.entries] == ["of-ben", "of-anna"]


def test_sort_of_chinese_names_goes_by_their_pinyin(
    database: Database, service: SearchService, indexer: Indexer
) -> None:
    names = ["张三", "王五", "赵六", "李四", "安娜", "Bob"]
    with database.transaction() as transaction:
        stored.put(
            transaction.connection,
            indexer,
            [
                {"resourceType": "Patient", "id": f"n{at}", "name": [{"text": name}]}
                for at, name in enumerate(names)
            ],
        )
        page = service.search(transaction, "Patient", [("_sort", "name")])
    ordered = [names[int(entry.resource.id[1:])] for entry in page.entries]
    assert ordered == ["安娜", "Bob", "李四", "王五", "张三", "赵六"]
