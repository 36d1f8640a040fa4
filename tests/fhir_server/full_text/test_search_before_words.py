"""A search by `_text` and `_content` finds what was committed before it, or says what it lacks."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import Connection

from fhir_server.full_text.unindexed import MOST, MOST_COUNTED
from fhir_server.index.words import vector, words_in
from fhir_server.search.conditions import TextIs, Words
from fhir_server.search.text import has_words, words_predicate
from hie import app, wiring
from hie.core.db.database import Transaction
from hie.core.errors import Issue, MalformedSearchError, UnavailableError
from hie.core.fhir.json import JsonObject
from hie.core.ports import SearchEntry
from tests.fhir_server.full_text.written import (
    answer,
    bundle,
    delete,
    exchange_of,
    found,
    index,
    patient,
    put,
)
from tests.fhir_server.interactions.client import Client

RESOURCES: tuple[JsonObject, ...] = (
    patient("anna", "<p>Anna has 2型糖尿病 (Type&#160;2)</p>", birthDate="1990-02-03", gender="female"),
    patient("ben", "<p>Ben, from Zürich</p>", gender="male", name=[{"text": "Ben KLEIN"}]),
    {"resourceType": "Patient", "id": "nobody"},
    {
        "resourceType": "Observation",
        "id": "of-anna",
        "status": "final",
        "code": {"text": "血红蛋白 Haemoglobin"},
        "subject": {"reference": "Patient/anna"},
    },
)
SEARCHES: tuple[tuple[str, tuple[tuple[str, str], ...], set[str]], ...] = (
    ("Patient", (("_text", "anna"),), {"anna"}),
    ("Patient", (("_text", "糖"),), {"anna"}),
    ("Patient", (("_text", "糖尿病"),), {"anna"}),
    ("Patient", (("_text", "尿糖"),), set()),
    ("Patient", (("_text", "type 2"),), {"anna"}),
    ("Patient", (("_text", "ann*,ZUR*"),), {"anna", "ben"}),
    ("Patient", (("_text", "klein"),), set()),
    ("Patient", (("_content", "klein zurich"),), {"ben"}),
    ("Patient", (("_content", "1990*"),), {"anna"}),
    ("Patient", (("_content", "nobody"),), {"nobody"}),
    ("Patient", (("_content", "http"),), set()),
    ("Patient", (("_content", "anna,ben"), ("gender", "male")), {"ben"}),
    ("Patient", (("_content", "anna"), ("_text", "糖尿")), {"anna"}),
    ("Patient", (("_filter", "not (_content co anna)"),), {"ben", "nobody"}),
    ("Patient", (("_filter", 'gender eq male or _text co "anna 病"'),), {"anna", "ben"}),
    ("Observation", (("subject:Patient._text", "糖尿病"),), {"of-anna"}),
    ("Observation", (("subject:Patient._content", "ben"),), set()),
    ("Patient", (("_has:Observation:subject:_content", "haemo*"),), {"anna"}),
    ("Patient", (("_has:Observation:subject:_content", "蛋白"), ("_text", "anna")), {"anna"}),
    ("", (("_content", "anna*"), ("_type", "Patient,Observation")), {"anna", "of-anna"}),
    ("Patient", (("_content", "anna,ben"), ("_sort", "gender")), {"anna", "ben"}),
    ("Patient", (("_content", "anna,ben"), ("_total", "accurate"), ("_count", "1")), {"ben"}),
)


@pytest.fixture
def exchange(database_url: str) -> Iterator[wiring.Exchange]:
    with exchange_of(database_url) as made:
        yield made


@pytest.mark.parametrize("is_indexed", [False, True])
def test_search_finds_the_same_before_and_after_words_are_indexed(
    exchange: wiring.Exchange, *, is_indexed: bool
) -> None:
    put(exchange, *RESOURCES)
    if is_indexed:
        index(exchange)
    for resource_type, parameters, expected in SEARCHES:
        assert found(exchange, resource_type, *parameters) == expected, parameters
    total = answer(exchange, "Patient", [("_content", "anna,ben"), ("_total", "accurate")]).page.total
    assert total == 2


def test_search_sees_updates_and_deletions_at_once(exchange: wiring.Exchange) -> None:
    put(exchange, *RESOURCES)
    index(exchange)
    put(exchange, patient("anna", "well now"))
    delete(exchange, "Patient/ben")
    assert found(exchange, "Patient", ("_text", "糖尿病,ben")) == set()
    assert found(exchange, "Patient", ("_text", "well")) == {"anna"}


def test_criteria_of_a_write_see_words_of_the_same_transaction(exchange: wiring.Exchange) -> None:
    put(exchange, patient("anna", "exactly this"))
    made = bundle(patient("anna", "changed"))
    made["entry"][0]["request"]["url"] = "Patient?_text=exactly"
    with exchange.database.transaction() as transaction:
        (result,) = exchange.repository.transact(transaction, [made])
        assert result.error is None
        assert {each.resource.id for each in _search(exchange, transaction, "changed")} == {"anna"}
        assert _search(exchange, transaction, "exactly") == []


def _search(exchange: wiring.Exchange, transaction: Transaction, word: str) -> list[SearchEntry]:
    return list(exchange.repository.search(transaction, "Patient", [("_text", word)]).entries)


def _issue(amount: str) -> Issue:
    return Issue(
        "warning",
        "incomplete",
        f"The full-text index is behind by {amount} Patient resources, which `_text` and `_content` do not"
        " find yet",
    )


def test_search_says_by_how_many_resources_the_index_is_behind(exchange: wiring.Exchange) -> None:
    put(exchange, *RESOURCES)
    index(exchange)
    put(exchange, *(patient(f"p{number}", "anna") for number in range(MOST)))
    assert len(found(exchange, "Patient", ("_text", "anna"), ("_count", "1000"))) == MOST + 1
    put(exchange, patient("one-more", "anna"))
    made = answer(exchange, "Patient", [("_text", "anna")])
    assert made.issues == (_issue(f"{MOST + 1}"),)
    assert [each.resource.id for each in made.page.entries] == ["anna"]
    # Another type is not behind, and a search of other parameters does not care.
    assert found(exchange, "Observation", ("_content", "haemo*")) == {"of-anna"}
    assert found(exchange, "Patient", ("gender", "male")) == {"ben"}
    index(exchange)
    assert len(found(exchange, "Patient", ("_text", "anna"), ("_count", "1000"))) == MOST + 2


def test_search_counts_what_is_missing_up_to_a_limit(exchange: wiring.Exchange) -> None:
    numbers = range(MOST_COUNTED + 1)
    for at in range(0, len(numbers), 4_000):
        put(exchange, *(patient(f"p{number}", "anna") for number in numbers[at : at + 4_000]))
    assert answer(exchange, "Patient", [("_text", "anna")]).issues == (_issue(f"more than {MOST_COUNTED:,}"),)


def test_bundle_names_what_is_missing_in_an_entry_of_mode_outcome(exchange: wiring.Exchange) -> None:
    put(exchange, *(patient(f"p{number}", "anna") for number in range(MOST + 1)))
    made = Client(app.build(exchange)).get("Patient?_text=anna").json()
    assert made["entry"] == [
        {
            "resource": {
                "resourceType": "OperationOutcome",
                "issue": [
                    {
                        "severity": "warning",
                        "code": "incomplete",
                        "diagnostics": _issue(f"{MOST + 1}").message,
                    }
                ],
            },
            "search": {"mode": "outcome"},
        }
    ]


def test_criteria_of_a_write_are_refused_while_the_index_is_too_far_behind(exchange: wiring.Exchange) -> None:
    put(exchange, *(patient(f"p{number}", "anna") for number in range(MOST + 1)))
    made = bundle(patient("another", "x"))
    made["entry"][0]["request"] = {"method": "POST", "url": "Patient", "ifNoneExist": "_text=anna"}
    with (
        pytest.raises(UnavailableError, match="behind by 201"),
        exchange.database.transaction() as transaction,
    ):
        exchange.repository.transact(transaction, [made])
    assert found(exchange, "Patient", ("_id", "another")) == set()


@pytest.mark.parametrize("comparison", ["eq", "ne", "sw", "ew", "gt", "pr"])
def test_filter_compares_texts_by_their_words_only(exchange: wiring.Exchange, comparison: str) -> None:
    value = "true" if comparison == "pr" else "anna"
    with pytest.raises(MalformedSearchError, match=r"`co`|Modifier"):
        found(exchange, "Patient", ("_filter", f"_content {comparison} {value}"))


_TEXT = st.text(alphabet="abü2 糖尿病-.", max_size=12)
_PART = st.sampled_from(["a", "b", "ab", "u", "2", "糖", "尿", "病", "糖尿", "尿病"])


@pytest.fixture(scope="module")
def plain_connection(server_url: str) -> Iterator[Connection[tuple[Any, ...]]]:
    """A connection that needs no tables."""
    with psycopg.connect(server_url) as connection:
        yield connection


@settings(max_examples=60)
@given(
    texts=st.lists(_TEXT, max_size=4),
    values=st.lists(
        st.tuples(st.lists(_PART, max_size=2), st.lists(_PART, max_size=2)).filter(any),
        min_size=1,
        max_size=2,
    ),
)
def test_words_in_memory_and_in_postgresql_are_the_same(
    plain_connection: Connection[tuple[Any, ...]], texts: list[str], values: list[tuple[list[str], list[str]]]
) -> None:
    condition = TextIs(7, "_content", tuple(Words(tuple(whole), tuple(begun)) for whole, begun in values))
    resource: JsonObject = {"resourceType": "Basic", "extension": [{"valueString": each} for each in texts]}
    listed = vector(7, words_in("_content", resource))
    where = words_predicate(condition, "x")
    row = plain_connection.execute(
        f"SELECT {where.text} FROM (SELECT 7 AS param, %s::tsvector AS words) AS x",  # noqa: S608 - our text
        (*where.params, listed),
    )
    assert row.fetchone() == (has_words(condition, resource),)
