"""Composites, canonical units, comparators, positions: the server finds what looking at each finds."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.index.indexer import Indexer
from fhir_server.search.service import SearchService
from fhir_server.tables import INDEX_TABLES
from hie.core.db.database import Database, Transaction
from hie.core.fhir.json import JsonObject, loads
from tests.fhir_server.search import extended_oracle as oracle
from tests.fhir_server.search import stored

SYSTEM = "http://loinc.org"
CODES = ["8480-6", "8462-4", "x"]
NUMBERS = ["0.0054", "5.4", "5.40", "5400", "5", "7", "6.95", "0.1", "100"]
UNITS = [
    *({"system": oracle.UCUM, "code": code, "unit": code} for code in ("mg", "g", "ug", "mg/dL", "g/L")),
    {"unit": "mg"},
    {},
]
PREFIXES = ["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]

QUANTITIES = st.builds(
    lambda number, unit, comparator: {
        "value": loads(number),
        **unit,
        **({"comparator": comparator} if comparator else {}),
    },
    st.sampled_from(NUMBERS),
    st.sampled_from(UNITS),
    st.sampled_from(["", "", "", "<", "<=", ">=", ">"]),
)
CODINGS = st.lists(
    st.builds(
        lambda code, system: {"code": code, **({"system": system} if system else {})},
        st.sampled_from(CODES),
        st.sampled_from([SYSTEM, ""]),
    ),
    min_size=1,
    max_size=2,
).map(lambda codings: {"coding": codings})
HOLDERS: st.SearchStrategy[JsonObject] = st.one_of(
    st.builds(lambda code, value: {"code": code, "valueQuantity": value}, CODINGS, QUANTITIES),
    st.builds(lambda code, value: {"code": code, "valueCodeableConcept": value}, CODINGS, CODINGS),
    st.builds(
        lambda code, value: {"code": code, "valueString": value},
        CODINGS,
        st.sampled_from(["Abc", "b", "ABX"]),
    ),
    st.builds(lambda code: {"code": code}, CODINGS),
)
OBSERVATIONS = st.builds(
    lambda holder, components: {
        "resourceType": "Observation",
        "status": "final",
        **holder,
        **({"component": components} if components else {}),
    },
    HOLDERS,
    st.lists(HOLDERS, max_size=2),
)
CODE_VALUES = st.one_of(
    st.sampled_from(CODES),
    st.sampled_from(CODES).map(lambda code: f"{SYSTEM}|{code}"),
    st.sampled_from([f"{SYSTEM}|", "|x", "|8480-6"]),
)
QUANTITY_VALUES = st.builds(
    "{}{}{}".format,
    st.sampled_from(PREFIXES),
    st.sampled_from(NUMBERS),
    st.sampled_from(["", "||mg", f"|{oracle.UCUM}|mg", f"|{oracle.UCUM}|g", f"|{oracle.UCUM}|g/L"]),
)


def _composites(name: str, second: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, str]]:
    return st.builds(lambda code, value: (name, f"{code}${value}"), CODE_VALUES, second)


SEARCHES = st.lists(
    st.one_of(
        QUANTITY_VALUES.map(lambda value: ("value-quantity", value)),
        QUANTITY_VALUES.map(lambda value: ("combo-value-quantity", value)),
        *(
            _composites(f"{name}value-quantity", QUANTITY_VALUES)
            for name in ("code-", "component-code-", "combo-code-")
        ),
        *(
            _composites(f"{name}value-concept", CODE_VALUES)
            for name in ("code-", "component-code-", "combo-code-")
        ),
        _composites("code-value-string", st.sampled_from(["a", "AB", "b", "abc", "q"])),
    ),
    min_size=40,
    max_size=50,
)


def _put(transaction: Transaction, indexer: Indexer, resources: list[JsonObject]) -> None:
    transaction.connection.execute("DELETE FROM resource")
    for table in INDEX_TABLES:
        transaction.connection.execute(f"DELETE FROM {table.name}")  # noqa: S608 - our tables
    stored.put(transaction.connection, indexer, resources)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(resources=st.lists(OBSERVATIONS, min_size=10, max_size=20), searches=SEARCHES)
def test_composites_and_quantities_find_what_looking_at_every_resource_finds(
    module_database: Database,
    service: SearchService,
    indexer: Indexer,
    resources: list[JsonObject],
    searches: list[tuple[str, str]],
) -> None:
    numbered = [{**resource, "id": f"r{at}"} for at, resource in enumerate(resources)]
    with module_database.transaction() as transaction:
        _put(transaction, indexer, numbered)
        for name, value in searches:
            expected = [each["id"] for each in numbered if oracle.finds(each, name, value)]
            page = service.search(transaction, "Observation", [(name, value), ("_count", "100")])
            found = [entry.resource.id for entry in page.entries]
            assert (name, value, sorted(found)) == (name, value, sorted(expected))


POSITIONS = st.tuples(
    st.floats(-90, 90, allow_nan=False).map(lambda value: round(value, 4)),
    st.floats(-180, 180, allow_nan=False).map(lambda value: round(value, 4)),
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(
    places=st.lists(POSITIONS, min_size=1, max_size=15),
    centre=POSITIONS,
    distance=st.sampled_from([1, 50, 700, 5000, 12_000]),
)
def test_near_finds_the_locations_within_the_distance(
    module_database: Database,
    service: SearchService,
    indexer: Indexer,
    places: list[tuple[float, float]],
    centre: tuple[float, float],
    distance: int,
) -> None:
    resources: list[JsonObject] = [
        {"resourceType": "Location", "id": f"l{at}", "position": {"latitude": each[0], "longitude": each[1]}}
        for at, each in enumerate(places)
    ]
    far = {at: oracle.distance_km(each, centre) for at, each in enumerate(places)}
    # Where the two formulas round differently, nothing is asked.
    sure = {at for at, each in far.items() if abs(each - distance) > 1e-6 * distance}
    value = f"{centre[0]:.4f}|{centre[1]:.4f}|{distance}|km"
    with module_database.transaction() as transaction:
        _put(transaction, indexer, resources)
        page = service.search(transaction, "Location", [("near", value), ("_count", "100")])
    found = {int(entry.resource.id[1:]) for entry in page.entries}
    assert found & sure == {at for at in sure if far[at] <= distance}
