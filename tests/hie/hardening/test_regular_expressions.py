"""No regular expression of ours takes more than its share of time, whatever text it is given.

Patterns that users write are run by `hie.core.fhirpath.patterns` in linear time
(`tests/hie/fhirpath/test_laws.py`); these are the ones that stand in the code.
"""

import re
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from tests.conftest import ROOT
from tests.hie.hardening.patterns import attacks, patterns_of

PACKAGES = ("hie", "fhir_server", "hl7_gateway", "booking", "analytics", "terminology")
# Exponential time is for ever at this length, and linear time is microseconds.
_REPEATS = 64
# Quadratic time is over a second at this one.
_MANY_REPEATS = 20_000
_SECONDS = 5.0


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """End what takes more CPU time than that; `re` looks for signals while it matches."""

    def give_up(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    earlier = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, earlier)


def found() -> dict[str, list[str]]:
    """Return each pattern of the packages with the places where it stands."""
    places: dict[str, list[str]] = {}
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            for line, pattern in patterns_of(file):
                places.setdefault(pattern, []).append(f"{file.relative_to(ROOT)}:{line}")
    return places


def takes_long(pattern: str, repeats: int, seconds: float) -> bool:
    """Return whether one of the attacks does not come to an end in time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = re.compile(pattern)
    for text in sorted(attacks(pattern, repeats)):
        try:
            with at_most(seconds):
                compiled.fullmatch(text)
                compiled.search(text[:2000])
        except TimeoutError:
            return True
    return False


def test_patterns_of_the_code_take_no_exponential_time() -> None:
    places = found()
    assert len(places) > 60
    slow = {pattern: where for pattern, where in places.items() if takes_long(pattern, _REPEATS, _SECONDS)}
    assert slow == {}


@pytest.mark.full
def test_patterns_of_the_code_take_no_quadratic_time() -> None:
    slow = {
        pattern: where for pattern, where in found().items() if takes_long(pattern, _MANY_REPEATS, _SECONDS)
    }
    assert slow == {}


@pytest.mark.parametrize("pattern", ["(a+)+b", "(?:a|aa)+$", r"(\w+\s?)*!", "([a-z]+)*[0-9]", "(x+x+)+y"])
def test_pattern_that_is_known_to_explode_is_found_by_its_attacks(pattern: str) -> None:
    """Davis et al., "The Impact of Regular Expression Denial of Service", 2018: the shapes of section 2."""
    assert takes_long(pattern, _REPEATS, 0.5)
