"""Random resources and random searches: the server finds what looking at every resource finds."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.index.indexer import Indexer
from fhir_server.search.service import SearchService
from fhir_server.tables import INDEX_TABLES
from hie.core.db.database import Database
from hie.core.fhir.json import JsonObject, loads
from tests.fhir_server.search import oracle, stored

SYSTEMS = ["http://a", "http://b"]
CODES = ["1", "2", "x"]
NAMES = ["Zoë", "ZOE X", "张", "小明", "é", "Straße", "Ａ１"]
NUMBERS = ["0", "1", "1.5", "1.50", "0.05", "100", "99.5", "100.5"]
DATES = st.builds(
    lambda year, month, day, precision: f"{year}-{month:02}-{day:02}"[:precision],
    st.sampled_from([2023, 2024]),
    st.sampled_from([1, 2, 12]),
    st.sampled_from([1, 2, 31]),
    st.sampled_from([4, 7, 10]),
).filter(lambda day: not day.endswith("-02-31"))
MOMENTS = st.builds(
    lambda day, clock, offset: f"2024-01-{day:02}T{clock}{offset}",
    st.sampled_from([1, 2]),
    st.sampled_from(["00:00:00", "12:30:59", "23:59:59"]),
    st.sampled_from(["Z", "+08:00", "-05:00"]),
)


def _optional(name: str, values: st.SearchStrategy[object]) -> st.SearchStrategy[JsonObject]:
    """Return an element that is there in two cases of three."""
    present = values.map(lambda value: {name: value})
    return st.integers(0, 2).flatmap(lambda draw: present if draw else st.just({}))


def _merged(*parts: st.SearchStrategy[JsonObject]) -> st.SearchStrategy[JsonObject]:
    return st.tuples(*parts).map(lambda given: {key: each for part in given for key, each in part.items()})


IDENTIFIERS = st.lists(
    _merged(
        _optional("system", st.sampled_from(SYSTEMS)),
        st.sampled_from(CODES).map(lambda each: {"value": each}),
    ),
    min_size=1,
    max_size=3,
)
HUMAN_NAMES = st.lists(
    _merged(
        _optional("family", st.sampled_from(NAMES)),
        _optional("given", st.lists(st.sampled_from(NAMES), min_size=1, max_size=2)),
    ),
    min_size=1,
    max_size=2,
)
PATIENTS = _merged(
    st.just({"resourceType": "Patient"}),
    _optional("identifier", IDENTIFIERS),
    _optional("name", HUMAN_NAMES),
    _optional("gender", st.sampled_from(["male", "female"])),
    _optional("birthDate", DATES),
)
PERIODS = _merged(
    _optional("start", st.one_of(DATES, MOMENTS)), _optional("end", st.just("2024-12-28"))
).filter(bool)
QUANTITIES = st.builds(
    lambda number, unit: {"value": loads(number), **unit},
    st.sampled_from(NUMBERS),
    st.sampled_from([{}, {"unit": "mg"}, {"system": "http://a", "code": "mg", "unit": "milligram"}]),
)
OBSERVATIONS = _merged(
    st.just({"resourceType": "Observation", "status": "final"}),
    st.lists(
        _merged(
            _optional("system", st.sampled_from(SYSTEMS)),
            st.sampled_from(CODES).map(lambda each: {"code": each}),
        ),
        min_size=1,
        max_size=2,
    ).map(lambda each: {"code": {"coding": each}}),
    _optional("subject", st.sampled_from(CODES).map(lambda each: {"reference": f"Patient/{each}"})),
    st.one_of(
        _optional("effectiveDateTime", st.one_of(DATES, MOMENTS)), _optional("effectivePeriod", PERIODS)
    ),
    _optional("valueQuantity", QUANTITIES),
)


def _listed(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=2).map(",".join)


def _conditions(*cases: tuple[str, st.SearchStrategy[str]]) -> st.SearchStrategy[tuple[str, str]]:
    return st.one_of(*(st.tuples(st.just(name), values) for name, values in cases))


PREFIXES = st.sampled_from(["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"])
TOKENS = st.one_of(
    st.sampled_from(CODES),
    st.builds("{}|{}".format, st.sampled_from([*SYSTEMS, ""]), st.sampled_from(CODES)),
    st.sampled_from(SYSTEMS).map("{}|".format),
)
DATE_VALUES = st.builds("{}{}".format, PREFIXES, st.one_of(DATES, MOMENTS))
QUANTITY_VALUES = st.builds(
    "{}{}{}".format,
    st.one_of(PREFIXES, st.just("ap")),
    st.sampled_from(NUMBERS),
    st.sampled_from(["", "||mg", "|http://a|mg", "||milligram"]),
)
MISSING = st.sampled_from(["true", "false"])
TEXTS = st.one_of(st.sampled_from(NAMES), st.sampled_from(["z", "oe", "strasse", "a1", "张小明", "明"]))
OF_PATIENTS = _conditions(
    ("identifier", _listed(TOKENS)),
    ("identifier:not", TOKENS),
    ("identifier:missing", MISSING),
    (
        "gender",
        _listed(
            st.sampled_from(["male", "female", "http://hl7.org/fhir/administrative-gender|male", "|male"])
        ),
    ),
    ("gender:not", st.sampled_from(["male", "female"])),
    ("gender:missing", MISSING),
    *(
        (name + modifier, _listed(TEXTS))
        for name in ("name", "family")
        for modifier in ("", ":exact", ":contains")
    ),
    ("name:missing", MISSING),
    ("birthdate", _listed(DATE_VALUES)),
    ("birthdate:missing", MISSING),
)
OF_OBSERVATIONS = _conditions(
    ("code", _listed(TOKENS)),
    ("code:not", TOKENS),
    ("date", _listed(DATE_VALUES)),
    ("date:missing", MISSING),
    ("subject", _listed(st.builds("{}{}".format, st.sampled_from(["", "Patient/"]), st.sampled_from(CODES)))),
    ("subject:missing", MISSING),
    ("value-quantity", _listed(QUANTITY_VALUES)),
    ("value-quantity:missing", MISSING),
)
SEARCHES = st.lists(
    st.one_of(
        st.tuples(st.just("Patient"), st.lists(OF_PATIENTS, min_size=1, max_size=2)),
        st.tuples(st.just("Observation"), st.lists(OF_OBSERVATIONS, min_size=1, max_size=2)),
    ),
    min_size=30,
    max_size=40,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(resources=st.lists(st.one_of(PATIENTS, OBSERVATIONS), min_size=12, max_size=24), searches=SEARCHES)
def test_search_finds_what_looking_at_every_resource_finds(
    module_database: Database,
    service: SearchService,
    indexer: Indexer,
    resources: list[JsonObject],
    searches: list[tuple[str, list[tuple[str, str]]]],
) -> None:
    given_ids = [{**resource, "id": f"r{at}"} for at, resource in enumerate(resources)]
    with module_database.transaction() as transaction:
        connection = transaction.connection
        connection.execute("DELETE FROM resource")
        for table in INDEX_TABLES:
            connection.execute(f"DELETE FROM {table.name}")  # noqa: S608 - our tables
        stored.put(connection, indexer, given_ids)
        for resource_type, conditions in searches:
            expected = [
                each["id"]
                for each in given_ids
                if each["resourceType"] == resource_type
                and all(oracle.finds(each, name, value) for name, value in conditions)
            ]
            page = service.search(transaction, resource_type, [*conditions, ("_count", "100")])
            found = [entry.resource.id for entry in page.entries]
            assert (conditions, sorted(found)) == (conditions, sorted(expected))
