"""The legal grounds of refusals, as data: `grounds.yaml`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

from hie.core.errors import ConfigurationError, ParameterValueError
from hie.rights.rules import Kind


@dataclass(frozen=True, slots=True)
class Ground:
    """Why requests of `kinds` may be refused, in both languages, and the article that says so."""

    code: str
    kinds: frozenset[Kind]
    zh: str
    en: str
    source: str


@cache
def load_grounds() -> Mapping[str, Ground]:
    """Return the grounds by their codes; raises ConfigurationError for a file that is not well made."""
    text = files("hie.rights").joinpath("grounds.yaml").read_text(encoding="utf-8")
    try:
        return {
            code: Ground(
                code, frozenset(Kind(kind) for kind in row["kinds"]), row["zh"], row["en"], row["source"]
            )
            for code, row in yaml.safe_load(text).items()
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"grounds.yaml: {error}") from error


def ground_of(code: str, kind: Kind) -> Ground:
    """Return the ground; raises ParameterValueError for one that is none of requests of `kind`."""
    found = load_grounds().get(code)
    if found is None or kind not in found.kinds:
        raise ParameterValueError(f"`{code[:80]}` is no ground to refuse a {kind}", expression="ground")
    return found


def grounds_of(kind: Kind) -> tuple[Ground, ...]:
    """Return the grounds on which requests of `kind` may be refused, in the order of the file."""
    return tuple(each for each in load_grounds().values() if kind in each.kinds)
