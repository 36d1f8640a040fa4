"""Whatever is asked for, a search answers or refuses; it never fails."""

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.definitions.search_parameters import load_registry
from fhir_server.index.indexer import Indexer
from fhir_server.search.bundle import searchset
from fhir_server.search.service import SearchService
from hie.core.db.database import Database
from hie.core.errors import RequestError
from hie.core.fhir.json import loads
from tests.fhir_server.search import stored

TYPES = ["Patient", "Observation", "Encounter", "ValueSet", "RiskAssessment", "Bundle", "Binary"]
MODIFIERS = [
    "",
    "exact",
    "contains",
    "not",
    "missing",
    "of-type",
    "identifier",
    "below",
    "above",
    "Patient",
    "in",
]
RESULTS = ["_count", "_sort", "_include", "_revinclude", "_total", "_summary", "_elements", "_cursor", "_id"]
PIECES = st.sampled_from(
    [
        "",
        "1",
        "-",
        "ge",
        "ap",
        "2024",
        "-02",
        "-30",
        "T",
        ":",
        "Z",
        "+",
        ".",
        "e9",
        "9" * 30,
        "|",
        ",",
        "\\",
        "$",
        "/",
        "Patient",
        "Observation:",
        "subject",
        "name",
        "*",
        "true",
        "%",
        "'",
        '"',
        "张",
        "é",
        "\x00",
        "\ud800",
        "\U0010ffff",
        " ",
        "urn:",
        "http://a",
        "#x",
        "_history",
        "status",
        "-_lastUpdated",
        "accurate",
        "NaN",
        "inf",
        "٣",
    ]
)
TEXTS = st.lists(PIECES, max_size=6).map("".join)
NAMES = st.one_of(
    st.sampled_from(RESULTS),
    st.builds(
        lambda code, modifier: f"{code}:{modifier}" if modifier else code,
        st.sampled_from(sorted({code for each in TYPES for code in load_registry().of(each)})),
        st.sampled_from(MODIFIERS),
    ),
    st.builds(
        "{}.{}".format,
        st.sampled_from(["subject", "patient", "subject:Patient", "subject:Group", "encounter"]),
        st.sampled_from(
            [
                "name",
                "_id",
                "status:not",
                "birthdate:missing",
                "patient.name",
                "_has:Observation:subject:code",
            ]
        ),
    ),
    st.sampled_from(["_has:Observation:subject:code", "_has:Observation:subject", "_has:a:b:c", "_has"]),
    TEXTS,
)


@settings(max_examples=300)
@given(
    resource_type=st.sampled_from(TYPES),
    parameters=st.lists(st.tuples(NAMES, TEXTS), min_size=1, max_size=4),
)
def test_search_of_anything_answers_or_refuses(
    module_database: Database,
    service: SearchService,
    indexer: Indexer,
    resource_type: str,
    parameters: list[tuple[str, str]],
) -> None:
    with module_database.transaction() as transaction:
        known = transaction.connection.execute("SELECT count(*) FROM resource").fetchone()
        if known == (0,):
            patient = {"resourceType": "Patient", "id": "1", "name": [{"text": "1\x00"}], "birthDate": "2024"}
            stored.put(transaction.connection, indexer, [patient])
    with contextlib.suppress(RequestError), module_database.transaction() as transaction:
        answer = service.answer(transaction, resource_type, parameters, is_lenient=True)
        text = searchset(answer.page, resource_type, answer.query.applied, "http://a", answer.issues)
        assert loads(text)["resourceType"] == "Bundle"
