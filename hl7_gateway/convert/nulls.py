"""What an explicit null `""` takes back: the elements, or the items of a shared list, that its field fills.

An item is named by the keys by which the store merges its list (`fhir_server.transaction.merge`): what the
rule says of it beforehand, its constants, defaults, url or namespace. Where a rule says nothing by which
its items differ from those of other fields, the null cannot be carried out, and the report says so.

HL7 v2.5.1 section 2.5.3, http://www.hl7.eu/HL7v2x/v251/std251/ch02.html
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from hie.core.fhir.json import Json, JsonObject
from hl7_gateway.convert.conditions import Condition, condition
from hl7_gateway.convert.maps import Rule, SegmentMap
from hl7_gateway.convert.places import is_list
from hl7_gateway.convert.run import Run
from hl7_gateway.er7.message import Segment

NOT_CARRIED_OUT: Final = "explicit null: it names nothing that can be deleted, what is stored stays"
_ANY: Final = "*"
# What an item of these lists is merged by: it, and so the item, is not replaced when it is itself null.
_KEY_OF_ELEMENT: Final = {
    "contact[]": "relationship[]",
    "diagnosis[]": "condition",
    "participant[]": "type[]",
}


class Deletion(NamedTuple):
    """One thing that a null deletes.

    `path` is in the syntax of the store, `namespace` the sender's one that is its second part, if it has one;
    `when` are the conditions under which the field fills this item and no other.
    """

    path: str
    namespace: str = ""
    when: tuple[Condition, ...] = ()

    def path_for(self, run: Run) -> str:
        """Return the path with the sender's namespace in it."""
        name, _, rest = self.path.partition("|")
        return f"{name}|{run.sender.system(self.namespace)}|{rest}" if self.namespace else self.path


class Outcome(NamedTuple):
    """What became of a null in one resource: deleted paths, or the whole is replaced, or neither."""

    kind: str
    paths: tuple[str, ...] = ()
    is_replaced: bool = False


class Nulls:
    """The nulls of one segment map."""

    __slots__ = ("_deletions", "_element_key", "_fields", "_lists")

    def __init__(self, source: SegmentMap) -> None:
        """Find out what each field of `source` deletes."""
        rules = [rule for rule in source.rules if rule.field and not rule.keep]
        self._fields = frozenset(rule.field for rule in rules)
        key = _KEY_OF_ELEMENT.get(source.element)
        self._element_key = (
            frozenset(rule.field for rule in rules if rule.to == key) if source.element else None
        )
        self._deletions: dict[int, list[Deletion]] = {}
        self._lists: dict[int, list[str]] = {}
        if source.element:
            return
        for rule in rules:
            self._add(rule, rules)

    def says(self, field: int) -> bool:
        """Whether the map makes anything of `field`."""
        return field in self._fields

    def paths(self, field: int, segment: Segment, run: Run) -> tuple[str, ...]:
        """Return the paths that a null in `field` of `segment` deletes."""
        return tuple(
            deletion.path_for(run)
            for deletion in self._deletions.get(field, ())
            if all(holds(segment, run) for holds in deletion.when)
        )

    def is_replaced(self, field: int, segment: Segment, resource: JsonObject) -> bool:
        """Whether the message replaces whole what `field` would delete a part of."""
        if self._element_key is None:
            return any(resource.get(name) for name in self._lists.get(field, ()))
        if field in self._element_key:
            return False
        # The item is there if another field has a value.
        return any(segment.raw(other) and not segment.is_null(other) for other in self._fields)

    def _add(self, rule: Rule, rules: Sequence[Rule]) -> None:
        found = self._deletions.setdefault(rule.field, [])
        path = rule.to.removesuffix("[]")
        if rule.clears:
            found.extend(Deletion(cleared) for cleared in rule.clears)
        elif not rule.to or rule.to == "$this":
            return
        elif is_list(rule.to) and path in _ITEMS:
            item = _ITEMS[path](rule)
            if item is not None:
                # Which of two items a field fills is a matter of its condition; elsewhere conditions are
                # about the value, which a null has not.
                found.append(item._replace(when=tuple(condition(name) for name in rule.when)))
        elif is_list(rule.to) and any(other.to == rule.to and other.field != rule.field for other in rules):
            self._lists.setdefault(rule.field, []).append(path)
        elif Deletion(path) not in found:
            found.append(Deletion(path))


def reason(outcomes: Sequence[Outcome]) -> str:
    """Return what the report says of a null."""
    deleted = [f"{outcome.kind}.{path}" for outcome in outcomes for path in outcome.paths]
    replaced = [outcome.kind for outcome in outcomes if outcome.is_replaced]
    stays = [outcome.kind for outcome in outcomes if not outcome.paths and not outcome.is_replaced]
    if not deleted and not replaced:
        return NOT_CARRIED_OUT
    said = [f"deletes {', '.join(deleted)}"] if deleted else []
    said += [f"what the message gives replaces it in {', '.join(replaced)}"] if replaced else []
    said += [f"stays in {', '.join(stays)}"] if stays else []
    return f"explicit null: {'; '.join(said)}"


def _constant_of(rule: Rule, path: str) -> Json:
    return next((inner.constant for inner in rule.element if inner.to == path), None)


def _code_of(concept: Json) -> str:
    code: str = concept["coding"][0]["code"]
    return code


def _extension(rule: Rule) -> Deletion | None:
    url = _constant_of(rule, "url")
    return None if url is None else Deletion(f"extension|{url}")


def _participant(rule: Rule) -> Deletion | None:
    kind = _constant_of(rule, "type[]")
    return None if kind is None else Deletion(f"participant|{_code_of(kind)}")


def _location(rule: Rule) -> Deletion | None:
    status, extension = _constant_of(rule, "status"), _constant_of(rule, "extension[]")
    if status is None:
        return None
    classification = "" if extension is None else _code_of(extension["valueCodeableConcept"])
    return Deletion(f"location|{status}|{classification}")


def _telecom(rule: Rule) -> Deletion | None:
    use = (rule.default or {}).get("use")
    return None if use is None else Deletion(f"telecom|{_ANY}|{use}")


def _identifier(rule: Rule) -> Deletion | None:
    kind = (rule.default or {}).get("type")
    if kind is not None:
        return Deletion(f"identifier|{_ANY}|{_code_of(kind)}")
    return Deletion(f"identifier|{_ANY}", rule.namespace) if rule.namespace else None


_ITEMS: Final[dict[str, Callable[[Rule], Deletion | None]]] = {
    "extension": _extension,
    "identifier": _identifier,
    "location": _location,
    "participant": _participant,
    "telecom": _telecom,
}
