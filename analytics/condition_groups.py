"""The groups of conditions that are surveilled, read from `condition_groups.yaml`."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml


@dataclass(frozen=True, slots=True)
class ConditionGroup:
    """A group: its key, its names, and the beginnings of the ICD-10 codes that belong to it."""

    key: str
    name_zh: str
    name_en: str
    codes: tuple[str, ...]


@cache
def condition_groups() -> tuple[ConditionGroup, ...]:
    """Return every group, in the order of the file."""
    raw = yaml.safe_load(files("analytics").joinpath("condition_groups.yaml").read_text(encoding="utf-8"))
    return tuple(
        ConditionGroup(row["group"], row["zh"], row["en"], tuple(row["codes"])) for row in raw["groups"]
    )


def group_of(code: str) -> ConditionGroup | None:
    """Return the group of an ICD-10 code such as ``J11.1``, None for one that is not surveilled."""
    code = code.upper()
    return next((group for group in condition_groups() if code.startswith(group.codes)), None)
