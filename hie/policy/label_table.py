"""Which codes make a resource sensitive: the table `labels.yaml`, with a file of the operator's own.

Pure but for reading the files; nothing is written here (`hie.policy.labelling`). Security labels:
https://hl7.org/fhir/R4/security-labels.html.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Final

import yaml

from hie.core.errors import ConfigurationError
from hie.core.fhir.json import Json, JsonObject

Label = tuple[str, str]
"""System and code of a security label."""

_RANGE: Final = re.compile(r"([A-Za-z]+)(\d+)-([A-Za-z]+)(\d+)")
# Beginnings of codes are looked up by their length: one look for each length that occurs.
_END: Final = '"'


@dataclass(frozen=True, slots=True)
class LabelRule:
    """Codes of `systems` that begin with one of `beginnings`, or are one of `codes`, have `labels`."""

    name: str
    systems: tuple[str, ...]
    beginnings: frozenset[str]
    codes: frozenset[str]
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class LabelTable:
    """The rules; `derived` is the elements, by type, that refer to what a resource is derived from."""

    rules: tuple[LabelRule, ...]
    derived: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)

    def of_code(self, system: str, code: str) -> Iterator[Label]:
        """Yield the labels of one code."""
        found = self._by_system.get(system)
        if found is None:
            return
        exact, beginnings, lengths = found
        yield from exact.get(code, ())
        for length in lengths:
            if length > len(code):
                break
            yield from beginnings.get(code[:length], ())

    def of_resource(self, resource: JsonObject) -> dict[Label, None]:
        """Return the labels of all codes in `resource`, its contained resources too, in their order."""
        found: dict[Label, None] = {}
        for name, value in resource.items():
            if name != "meta":
                for system, code in _codings(value):
                    found.update(dict.fromkeys(self.of_code(system, code)))
        return found

    @cached_property
    def suspicious(self) -> re.Pattern[bytes]:
        """What the JSON text of a resource matches that may hold a code of the table.

        Compact JSON of ASCII codes; reading it so takes a tenth of looking at every element.
        """
        beginnings = {each for rule in self.rules for each in rule.beginnings}
        codes = {each + _END for rule in self.rules for each in rule.codes}
        return re.compile(b'"code":"' + _branches(sorted(beginnings | codes)).encode())

    @cached_property
    def labels(self) -> frozenset[Label]:
        """All labels that a rule gives."""
        return frozenset(label for rule in self.rules for label in rule.labels)

    @cached_property
    def _by_system(self) -> Mapping[str, "_Codes"]:
        found: dict[str, _Codes] = {}
        for rule in self.rules:
            for system in rule.systems:
                exact, beginnings, lengths = found.get(system, ({}, {}, ()))
                for code in rule.codes:
                    exact[code] = (*exact.get(code, ()), *rule.labels)
                for code in rule.beginnings:
                    beginnings[code] = (*beginnings.get(code, ()), *rule.labels)
                lengths = tuple(sorted({*lengths, *map(len, rule.beginnings)}))
                found[system] = exact, beginnings, lengths
        return found


_Codes = tuple[dict[str, tuple[Label, ...]], dict[str, tuple[Label, ...]], tuple[int, ...]]


def load_labels(own: Path | None = None) -> LabelTable:
    """Return the table of the server with the rules of the file `own`; raises ConfigurationError."""
    raw = yaml.safe_load(files("hie.policy").joinpath("labels.yaml").read_text(encoding="utf-8"))
    if own is None:
        return read_labels(raw)
    try:
        further = yaml.safe_load(own.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"HIE_LABEL_RULES: {own} cannot be read: {error}") from error
    return read_labels(raw, further)


def read_labels(raw: Json, own: Json = None) -> LabelTable:
    """Return the table of `raw` with the rules of `own`; raises ConfigurationError for bad data."""
    own = {} if own is None else own
    try:
        systems = {**raw["systems"], **own.get("systems", {})}
        labels = {**raw["labels"], **own.get("labels", {})}
        rules = {
            rule.name: rule
            for given in (raw, own)
            for each in given.get("rules", ())
            for rule in (_rule(each, systems, labels),)
        }
        derived = {**raw["derived"], **own.get("derived", {})}
        return LabelTable(
            tuple(rules.values()),
            {kind: tuple(tuple(path.split(".")) for path in paths) for kind, paths in derived.items()},
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"The table of security labels is not of its form: {error!r}") from error


def _rule(raw: Json, systems: Mapping[str, list[str]], labels: Mapping[str, str]) -> LabelRule:
    name = raw["name"]
    codes = frozenset(found for each in raw["codes"] for found in _expanded(str(each), name))
    if not all(each.isascii() and each.isprintable() and '"' not in each for each in codes):
        raise ConfigurationError(f"Rule `{name}` of security labels has a code that is not plain ASCII")
    is_exact = bool(raw.get("exactly", False))
    given = []
    for each in raw["labels"]:
        system, _, code = each.rpartition("|")
        given.append((labels.get(system, system), code))
    return LabelRule(
        name,
        tuple(systems.get(raw["system"], [raw["system"]])),
        frozenset() if is_exact else codes,
        codes if is_exact else frozenset(),
        tuple(given),
    )


def _expanded(code: str, name: str) -> Iterator[str]:
    """Yield the codes of a range (``B20-B24``), or the code itself."""
    found = _RANGE.fullmatch(code)
    if found is None:
        yield code
        return
    letters, first, other, last = found.groups()
    if letters != other or len(first) != len(last) or int(first) > int(last):
        raise ConfigurationError(f"Rule `{name}` of security labels has no range in `{code}`")
    for number in range(int(first), int(last) + 1):
        yield f"{letters}{number:0{len(first)}}"


def _codings(value: Json) -> Iterator[Label]:
    """Yield system and code of every Coding in `value`, however deep."""
    if isinstance(value, dict):
        system, code = value.get("system"), value.get("code")
        if isinstance(system, str) and isinstance(code, str):
            yield system, code
        for each in value.values():
            if isinstance(each, dict | list):
                yield from _codings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _codings(each)


def _branches(texts: Iterable[str]) -> str:
    """Return a pattern of the sorted `texts` that looks at each sign once: a tree of their beginnings."""
    groups: dict[str, list[str]] = {}
    for text in texts:
        if not text:
            return ""  # what is behind a whole text no longer matters
        groups.setdefault(text[0], []).append(text[1:])
    if not groups:
        return "(?!)"
    parts = [re.escape(sign) + _branches(rest) for sign, rest in groups.items()]
    return parts[0] if len(parts) == 1 else f"(?:{'|'.join(parts)})"
