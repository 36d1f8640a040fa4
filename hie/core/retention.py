"""How long the law has a medical record kept: which rule holds, and until when. Pure.

The rules are data (`retention.yaml`, with their sources). Not here: what is known of a record
(`fhir_server.store.record`), and who may erase one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files

import yaml

from hie.core.personal_rights import ErasureRefusal


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of retention: `code` is the ground of a refusal, `source` statute and article."""

    code: str
    years: int
    source: str


@dataclass(frozen=True, slots=True)
class Retention:
    """The rules, and what tells what they hold for.

    `inpatient_classes` are the codes of Encounter.class (v3-ActCode) that are stays; `open_states` those of
    Encounter.status in which a stay has not ended; `administrative` are resource types that are no part of a
    medical record.
    """

    outpatient: Rule
    inpatient: Rule
    inpatient_classes: frozenset[str]
    open_states: frozenset[str]
    administrative: frozenset[str]


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a record: the last visit, the last discharge, whether a stay goes on; None: none."""

    last_visit: date | None
    last_discharge: date | None
    is_in_hospital: bool


@cache
def load_retention() -> Retention:
    """Return the rules of `retention.yaml`."""
    read = yaml.safe_load(files("hie.core").joinpath("retention.yaml").read_text(encoding="utf-8"))
    rules: Mapping[str, Rule] = {
        name: Rule(each["code"], each["years"], each["source"]) for name, each in read["rules"].items()
    }
    return Retention(
        rules["outpatient"],
        rules["inpatient"],
        frozenset(read["inpatient-classes"]),
        frozenset(read["open-states"]),
        frozenset(read["administrative"]),
    )


def refusal_of(record: Record, today: date) -> ErasureRefusal | None:
    """Return why `record` is to be kept on `today`: the rule that holds longest; None where none does.

    >>> refusal_of(Record(date(2010, 5, 1), None, False), date(2026, 1, 1)) is None
    True
    """
    rules = load_retention()
    if record.is_in_hospital:
        return ErasureRefusal(rules.inpatient.code, None, rules.inpatient.source)
    found = [
        ErasureRefusal(rule.code, until, rule.source)
        for rule, last in ((rules.outpatient, record.last_visit), (rules.inpatient, record.last_discharge))
        if last is not None and (until := _after(last, rule.years)) > today
    ]
    return max(found, key=lambda each: each.until or date.max, default=None)


def _after(day: date, years: int) -> date:
    """Return the first day on which `years` since `day` have passed."""
    year = day.year + years
    if year > date.max.year:
        return date.max
    try:
        return day.replace(year=year)
    except ValueError:  # 29 February of a year that has none
        return date(year, 3, 1)
