"""Snapshots and cursors survive being written down, and nothing else passes for one."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.search.cursor import KeyCursor, VersionCursor, canonical_form, decode, encode
from fhir_server.search.snapshot import Snapshot, snapshot_of, unpack
from hie.core.errors import MalformedSearchError

SNAPSHOTS = st.builds(
    lambda floor, steps: Snapshot(floor, tuple(accumulate(steps, initial=floor))[1:]),
    st.integers(0, 2**62),
    st.lists(st.integers(1, 50_000), max_size=60),
)
CURSORS = st.one_of(
    st.builds(VersionCursor, SNAPSHOTS, st.integers(0, 2**63 - 1)),
    st.builds(
        KeyCursor, st.integers(0, 2**63 - 1), st.lists(st.one_of(st.none(), st.text()), max_size=3).map(tuple)
    ),
)
SEARCH = canonical_form("Patient", [("name", "张"), ("_count", "5")])


@given(SNAPSHOTS)
def test_snapshot_unpacks_to_what_was_packed(snapshot: Snapshot) -> None:
    assert unpack(snapshot.pack()) == snapshot


@given(CURSORS)
def test_cursor_decodes_to_what_was_encoded(cursor: VersionCursor | KeyCursor) -> None:
    assert decode(encode(cursor, SEARCH), SEARCH) == cursor


@given(CURSORS, st.text(), st.integers(0, 50))
def test_cursor_with_other_text_in_it_is_refused(
    cursor: VersionCursor | KeyCursor, text: str, at: int
) -> None:
    encoded = encode(cursor, SEARCH)
    edited = encoded[:at] + text + encoded[at + len(text) :]
    if edited != encoded:
        with pytest.raises(MalformedSearchError):
            decode(edited, SEARCH)


def test_cursor_does_not_depend_on_the_page_size() -> None:
    assert canonical_form("Patient", [("_count", "9"), ("name", "张"), ("_cursor", "x")]) == SEARCH
    assert canonical_form("Patient", [("name", "李")]) != SEARCH


def test_cursor_of_a_thousand_listed_versions_fits_a_url() -> None:
    snapshot = snapshot_of(10_000_000, range(9_980_001, 10_000_001, 20))
    assert len(snapshot.listed) == 999
    assert len(encode(VersionCursor(snapshot, 1), SEARCH)) < 4_000
