"""The pure parts of the store: arrays, content, criteria, references, ids."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.index.hashing import hash32, hash64, param_id
from fhir_server.index.rows import OPEN_END, OPEN_START
from fhir_server.store.arrays import BigInts, Blobs, Bools, Ints, SmallInts, Texts, Timestamps
from fhir_server.store.content import body, content, digest, instant, to_milliseconds
from fhir_server.store.identity import is_id, new_id
from fhir_server.store.lookup import Identifier, Token
from fhir_server.transaction.criteria import parse
from fhir_server.transaction.references import ReferenceRewriter, conditional_references
from hie.core.db.database import Database
from hie.core.errors import InvalidReferenceError, MalformedSearchError, UnknownResourceTypeError
from hie.core.fhir.json import loads

INSTANTS = st.datetimes(timezones=st.just(UTC))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(max_size=8)
    | st.decimals(-9, 9, places=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


def test_arrays_arrive_as_they_were_given(database: Database) -> None:
    columns: dict[Any, list[Any]] = {
        SmallInts: [-(2**15), 0, 2**15 - 1],
        Ints: [-(2**31), 0, 2**31 - 1],
        BigInts: [-(2**63), 0, 2**63 - 1],
        Bools: [True, False],
        Texts: ["", None, "张伟 'quoted' \"double\" \\ {braces,}", "𠮷"],
        Blobs: [b"", b"\0\xff"],
        Timestamps: [datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, 1, 2, 3, 456789, tzinfo=UTC)],
    }
    with database.transaction() as transaction:
        for make, values in columns.items():
            for sample in (values, []):
                row = transaction.connection.execute("SELECT %s", (make(sample),)).fetchone()
                assert row == (sample,)
        ends = transaction.connection.execute(
            "SELECT %s::text", (Timestamps([OPEN_START, OPEN_END]),)
        ).fetchone()
    assert ends == ("{-infinity,infinity}",)


@given(INSTANTS)
def test_a_timestamp_array_keeps_every_microsecond(moment: datetime) -> None:
    from fhir_server.store.arrays import microseconds

    if OPEN_START < moment < OPEN_END:
        epoch = datetime(2000, 1, 1, tzinfo=UTC)
        assert epoch + timedelta(microseconds=microseconds(moment)) == moment


def test_text_with_nul_is_refused(database: Database) -> None:
    with database.transaction() as transaction, pytest.raises(psycopg.DataError, match="NUL"):
        transaction.connection.execute("SELECT %s", (Texts(["a\0b"]),))


@given(JSON, JSON)
def test_digests_are_equal_exactly_for_equal_content(first: Any, second: Any) -> None:
    one, two = ({"resourceType": "Basic", "id": "x", "code": value} for value in (first, second))
    turned = dict(reversed(one.items()))
    assert digest(turned) == digest(one)
    is_same = _exact(first) == _exact(second)
    assert (digest(one) == digest(two)) is is_same


def _exact(value: Any) -> Any:
    """What tells 1 from 1.0, from 1.00 and from true."""
    if isinstance(value, dict):
        return ("object", {name: _exact(item) for name, item in value.items()})
    if isinstance(value, list):
        return ("array", [_exact(item) for item in value])
    return (type(value).__name__, str(value))


def test_server_meta_is_no_content_and_stands_first_in_the_body() -> None:
    given_resource = {
        "status": "final",
        "meta": {"versionId": "9", "source": "urn:x", "lastUpdated": "2000-01-01T00:00:00Z"},
        "id": "other",
        "resourceType": "Observation",
        "value": Decimal("1.50"),
    }
    made = content(given_resource, "o")
    assert made == {
        "resourceType": "Observation",
        "id": "o",
        "meta": {"source": "urn:x"},
        "status": "final",
        "value": Decimal("1.50"),
    }
    assert body(made, 3, "2026-01-02T03:04:05.678Z") == (
        b'{"resourceType":"Observation","id":"o","meta":{"versionId":"3",'
        b'"lastUpdated":"2026-01-02T03:04:05.678Z","source":"urn:x"},"status":"final","value":1.50}'
    )
    assert loads(body(content({"resourceType": "Basic"}, "b"), 1, "x")) == {
        "resourceType": "Basic",
        "id": "b",
        "meta": {"versionId": "1", "lastUpdated": "x"},
    }


@given(INSTANTS)
def test_an_instant_and_its_column_say_the_same_millisecond(moment: datetime) -> None:
    if moment.year >= 1000:
        kept = to_milliseconds(moment)
        assert datetime.fromisoformat(instant(kept)) == kept
        assert timedelta(0) <= moment - kept < timedelta(milliseconds=1)


def test_new_ids_are_uuids_of_version_7_in_order_of_time() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    ids = [new_id(start + timedelta(milliseconds=number)) for number in range(50)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 50
    for made in ids:
        assert is_id(made)
        assert (UUID(made).version, UUID(made).variant) == (7, "specified in RFC 4122")


@pytest.mark.parametrize(
    ("query", "system", "value"),
    [
        ("identifier=http://h.example/mrn|1", "http://h.example/mrn", "1"),
        ("identifier=http%3A%2F%2Fh.example%2Fmrn%7C1", "http://h.example/mrn", "1"),
        ("identifier=urn:oid:1.2|%E5%BC%A0%2B1", "urn:oid:1.2", "张+1"),
        (r"identifier=http://h.example/mrn|a\,b\|c\$d\\e", "http://h.example/mrn", r"a,b|c$d\e"),
        ("identifier=s|a|b", "s", "a|b"),
    ],
)
def test_criteria_on_one_identifier_are_a_key_of_the_token_index(query: str, system: str, value: str) -> None:
    criteria = parse("Patient", query)
    token = Token(param_id("Patient", "identifier"), hash64(value), hash32(system))
    assert criteria.identifier == Identifier(token, system)


@pytest.mark.parametrize(
    "query",
    [
        "identifier=1",
        "identifier=|1",
        "identifier=s|",
        "identifier=s|1,s|2",
        r"identifier=s|a\\,b",
        "identifier=s|1&active=true",
        "identifier:of-type=s|t|1",
        "name=x",
    ],
)
def test_any_other_criteria_are_a_search(query: str) -> None:
    criteria = parse("Patient", query)
    assert criteria.identifier is None
    assert criteria.parameters


def test_criteria_do_not_show_their_values() -> None:
    assert str(parse("Patient", "identifier=s|secret&name=secret&name=b")) == "Patient?identifier&name"


def test_criteria_that_select_nothing_are_refused() -> None:
    with pytest.raises(MalformedSearchError):
        parse("Patient", "")
    with pytest.raises(UnknownResourceTypeError):
        parse("Nobody", "identifier=s|1")


def _rewriter(targets: dict[str, str]) -> ReferenceRewriter:
    return ReferenceRewriter(targets, lambda kind, query: f"{kind}/<{query}>")


def test_every_link_to_an_entry_is_replaced_and_nothing_else() -> None:
    urn = "urn:uuid:1"
    resource = {
        "resourceType": "DocumentReference",
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": urn}],
        "meta": {"profile": [urn]},
        "text": {
            "div": f'<div><a href="{urn}">x</a><img src=\'{urn}#y\'/><a href="urn:uuid:2">{urn}</a></div>'
        },
        "subject": {"reference": urn, "display": urn},
        "author": [{"reference": "#p"}, {"reference": f"{urn}#f"}, {"reference": "Patient/9"}],
        "content": [{"attachment": {"url": urn}}],
        "extension": [{"url": "http://x", "valueUri": urn}, {"url": "http://x", "valueCanonical": urn}],
    }
    before = repr(resource)
    made = _rewriter({urn: "Patient/1"}).rewrite(resource, None, "DocumentReference")
    assert repr(resource) == before
    assert made == {
        **resource,
        "text": {
            "div": "<div><a href=\"Patient/1\">x</a><img src='Patient/1#y'/>"
            f'<a href="urn:uuid:2">{urn}</a></div>'
        },
        "subject": {"reference": "Patient/1", "display": urn},
        "author": [{"reference": "#p"}, {"reference": "Patient/1#f"}, {"reference": "Patient/9"}],
        "content": [{"attachment": {"url": "Patient/1"}}],
        "extension": [
            {"url": "http://x", "valueUri": "Patient/1"},
            {"url": "http://x", "valueCanonical": urn},
        ],
    }


def test_a_resource_without_links_is_returned_itself() -> None:
    resource = {"resourceType": "Patient", "link": [{"other": {"reference": "Patient/1"}}]}
    assert _rewriter({"urn:uuid:1": "Patient/2"}).rewrite(resource, None, "Patient") is resource


def test_a_dangling_urn_is_refused_by_its_expression() -> None:
    resource = {"resourceType": "Group", "member": [{}, {"entity": {"reference": "urn:oid:1.2"}}]}
    with pytest.raises(InvalidReferenceError) as caught:
        _rewriter({}).rewrite(resource, None, "Bundle.entry[4].resource")
    assert caught.value.expression == "Bundle.entry[4].resource.member[1].entity.reference"


def test_the_references_of_a_bundle_resource_are_its_own() -> None:
    document = {
        "resourceType": "Bundle",
        "entry": [{"resource": {"subject": {"reference": "urn:uuid:9"}, "x": {"reference": "A?b=c"}}}],
    }
    assert _rewriter({"urn:uuid:9": "Patient/1"}).rewrite(document, None, "Bundle") is document
    assert conditional_references(document) == []


def test_conditional_references_are_found_and_resolved_at_any_depth() -> None:
    resource = {
        "resourceType": "Encounter",
        "subject": {"reference": "Patient?identifier=s|1"},
        "participant": [{"individual": {"reference": "Practitioner?identifier=s|2"}}],
        "note": "What?no",
    }
    assert sorted(conditional_references(resource)) == [
        ("Patient", "identifier=s|1"),
        ("Practitioner", "identifier=s|2"),
    ]
    made = _rewriter({}).rewrite(resource, None, "Encounter")
    assert made["participant"][0]["individual"]["reference"] == "Practitioner/<identifier=s|2>"
    assert made["subject"]["reference"] == "Patient/<identifier=s|1>"
