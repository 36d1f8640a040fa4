"""Puts security labels on what is stored: `Labeller` of `hie.core.labels`.

A resource carries the labels of its own codes, those of what it is derived from, and those that it had: what
was sensitive once stays so, because earlier versions are read by who may read the current one. Only
`$meta-delete` takes a label away (https://hl7.org/fhir/R4/resource-operation-meta-delete.html), for who may
call it; the labels of codes come back with the next version that has these codes.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from hie.core.fhir.json import Json, JsonObject
from hie.policy.label_table import Label, LabelTable

_HISTORY: Final = "/_history/"


class Labelling:
    """Labels by `table`; `sensitive` are the labels that the access policy heeds."""

    def __init__(
        self, table: LabelTable, sensitive: frozenset[Label], base_url: str, *, is_lasting: bool
    ) -> None:
        """Take the table, and the base URL of this server's references.

        `is_lasting` says whether labels outlast an update and pass on to what is derived, which costs a
        look at what is stored; where nobody's access is decided it is left to a later `hie relabel`.
        """
        self._table = table
        self._base_url = base_url.rstrip("/")
        self._is_suspicious = table.suspicious.search
        self.known = sensitive | table.labels
        self.is_lasting = is_lasting

    def own(self, content: JsonObject, text: bytes) -> JsonObject:
        """Return `content` with the labels of its codes; `text` is its compact JSON."""
        if self._is_suspicious(text) is None:
            return content
        return with_labels(content, self._table.of_resource(content))

    def kept(self, content: JsonObject, stored: JsonObject) -> JsonObject:
        """Return `content` with the labels of `stored`, the version before it, of sensitive classes."""
        before = [each for each in labels_of(stored) if each in self.known]
        return with_labels(content, before) if before else content

    def inherited(self, content: JsonObject, labels: Iterable[Label]) -> JsonObject:
        """Return `content` with those of `labels` that are of sensitive classes."""
        return with_labels(content, [each for each in labels if each in self.known])

    def sources(self, content: JsonObject) -> list[str]:
        """Return what `content` is derived from, as "Observation/1"."""
        return [
            reference
            for path in self._table.derived.get(content["resourceType"], ())
            for reference in self._references(content, path)
        ]

    def _references(self, value: Json, path: tuple[str, ...]) -> Iterator[str]:
        if isinstance(value, list):
            for each in value:
                yield from self._references(each, path)
        elif isinstance(value, dict):
            if path:
                yield from self._references(value.get(path[0]), path[1:])
            elif isinstance(value.get("reference"), str):
                literal = value["reference"].removeprefix(f"{self._base_url}/").partition(_HISTORY)[0]
                if literal.count("/") == 1:
                    yield literal


def labels_of(resource: JsonObject) -> list[Label]:
    """Return system and code of the security labels of `resource`, in their order."""
    meta = resource.get("meta")
    labels = meta.get("security", ()) if isinstance(meta, dict) else ()
    return [(each.get("system", ""), each.get("code", "")) for each in labels if isinstance(each, dict)]


def with_labels(content: JsonObject, labels: Iterable[Label]) -> JsonObject:
    """Return `content` with `labels` behind those that it has; itself where it has them all."""
    has = set(labels_of(content))
    new: list[JsonObject] = [
        {"system": system, "code": code} for system, code in labels if (system, code) not in has
    ]
    if not new:
        return content
    meta = content.get("meta", {})
    made = {**meta, "security": [*meta.get("security", ()), *new]}
    if "meta" in content:
        return {**content, "meta": made}
    head: JsonObject = {name: content[name] for name in ("resourceType", "id") if name in content}
    return {**head, "meta": made, **content}
