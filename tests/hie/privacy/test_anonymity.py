"""Every class of what is released has at least k patients, and no total tells a suppressed count."""

from collections import Counter
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.core.security_errors import AnonymityError
from hie.privacy.anonymity import Level, Quasi, settle
from hie.privacy.cells import protected

QUASIS = st.builds(
    Quasi,
    st.none() | st.integers(1936, 2026),
    st.sampled_from(["male", "female", "other", None]),
    st.sampled_from([(), ("A",), ("A", "a"), ("A", "b"), ("B", "c"), ("C", "d")]),
)
POPULATIONS = st.lists(QUASIS, min_size=1, max_size=120)


@given(
    people=POPULATIONS,
    k=st.integers(2, 12),
    share=st.sampled_from([0.0, 0.05, 0.3]),
    regions=st.integers(0, 2),
)
def test_every_class_has_at_least_k_and_few_are_left_out(
    people: list[Quasi], k: int, share: float, regions: int
) -> None:
    try:
        found = settle(Counter(people), k=k, most_suppressed=share, regions=regions)
    except AnonymityError:
        assert len(people) < k
        return
    released = Counter(found.level.of(each) for each in people)
    kept = {quasi: count for quasi, count in released.items() if count >= k}
    assert found.classes == kept
    assert found.suppressed == len(people) - sum(kept.values()) <= share * len(people)
    assert all(len(quasi.region) <= regions for quasi in kept)


@given(people=POPULATIONS)
def test_the_order_of_patients_does_not_matter(people: list[Quasi]) -> None:
    try:
        one = settle(Counter(people), k=3, most_suppressed=0.05)
    except AnonymityError:
        return
    assert one.level == settle(Counter(reversed(people)), k=3, most_suppressed=0.05).level


def test_no_more_is_generalised_than_needed() -> None:
    """The example of Sweeney 2002 in small: years that are alike stay, those that are not are joined."""
    alike = Counter({Quasi(1980, "female", ("A", "a")): 5, Quasi(1981, "male", ("A", "a")): 5})
    assert settle(alike, k=5, most_suppressed=0).level == Level(1, 2, has_gender=True)
    apart = Counter({Quasi(year, "female", ("A", "a")): 1 for year in range(1980, 1985)})
    found = settle(apart, k=5, most_suppressed=0)
    assert found.level == Level(5, 2, has_gender=True)
    assert found.classes == {Quasi(1980, "female", ("A", "a")): 5}


def test_who_stands_alone_is_left_out_rather_than_all_generalised() -> None:
    people = Counter({Quasi(1980, "female", ("A", "a")): 99, Quasi(1936, "other", ("C", "d")): 1})
    found = settle(people, k=5, most_suppressed=0.05)
    assert found.level == Level(1, 2, has_gender=True)
    assert found.suppressed == 1


def test_fewer_than_k_are_refused() -> None:
    with pytest.raises(AnonymityError, match="4 patients are fewer than k = 5"):
        settle({Quasi(1980, "male", ()): 4}, k=5, most_suppressed=1)


COUNTS = st.dictionaries(
    st.tuples(st.sampled_from("ABCD"), st.sampled_from("mfo")), st.integers(0, 30), min_size=1
)


@given(counts=COUNTS, k=st.integers(2, 10))
def test_no_total_tells_a_suppressed_cell(counts: dict[tuple[str, str], int], k: int) -> None:
    table = protected(counts, k=k)
    if table is None:
        return
    for row, column in product(range(len(table.rows)), range(len(table.columns))):
        count = counts.get((table.rows[row], table.columns[column]), 0)
        shown = table.cells[row][column]
        assert shown in (None, count)
        assert not 0 < count < k or shown is None
    lines = [(line, total) for line, total in zip(table.cells, table.row_totals, strict=True)]
    columns = zip(*table.cells, strict=True)
    lines += [(line, total) for line, total in zip(columns, table.column_totals, strict=True)]
    for line, total in lines:
        hidden = line.count(None)
        left = total - sum(each for each in line if each is not None)
        assert hidden != 1
        assert hidden == 0 or left >= k


def test_a_small_cell_takes_the_smallest_beside_it_along() -> None:
    counts = {("A", "f"): 3, ("A", "m"): 40, ("B", "f"): 20, ("B", "m"): 30}
    table = protected(counts, k=5)
    assert table is not None
    assert table.cells == ((None, None), (None, None))
    assert table.row_totals == (43, 50)


def test_a_table_without_small_cells_is_shown_whole() -> None:
    table = protected({("A", "f"): 5, ("A", "m"): 6}, k=5)
    assert table is not None
    assert table.cells == ((5, 6),)
