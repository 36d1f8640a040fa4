"""The mask: what a requester who may not see some kinds of elements is shown of a resource. Pure.

Names, telecoms, addresses and identifiers are found by their data type wherever R4 has them, in extensions
and contained resources too. Narrative and documents, which no rule can read, are removed as soon as anything
is masked; in other texts numbers of persons are found by their form. A name in a text of other kinds stays:
only who wrote it knows that it is one. What cannot be shown is never guessed from what can (`hides`).
"""

from collections.abc import Callable
from functools import cache, cached_property
from typing import Final

from hie.core.fhir.json import Json, JsonObject, dumps, loads
from hie.core.fhir.structure import structure_of
from hie.core.masking import MASKED, Asked, labelled
from hie.privacy import patterns
from hie.privacy.elements import Change, Changes, changed
from hie.privacy.hidden_searches import is_hidden
from hie.privacy.masking_rules import Kind, MaskingRules

# References to others name no patient.
_PERSONS: Final = frozenset({"Patient", "Person", "RelatedPerson"})
_PERIOD: Final = ("use", "period")


class ElementMask:
    """Implements `hie.core.masking.Mask` for one set of kinds; shared by all who see the same."""

    def __init__(self, rules: MaskingRules, kinds: frozenset[Kind]) -> None:
        """Take the rules and what is masked; `kinds` is not empty."""
        self._rules = rules
        self._kinds = kinds

    def shown(self, resource_type: str, body: bytes) -> bytes:
        """Return the resource as it is shown, labelled MASKED if anything is masked."""
        if resource_type in self._rules.public:
            return body
        resource: JsonObject = loads(body)
        made = self._masked(resource)
        return body if made == resource else dumps(labelled(made, MASKED))

    def changes(self, resource: JsonObject) -> bool:
        """Say whether something of `resource` is masked."""
        return resource.get("resourceType") not in self._rules.public and self._masked(resource) != resource

    def hides(self, asked: Asked) -> bool:
        """Say whether a search by `asked` would tell what is masked."""
        if asked.resource_type in self._rules.public:
            return False
        kinds = self._kinds - ({"name"} if asked.resource_type in self._rules.named else frozenset())
        return is_hidden(asked, kinds, self._rules.identities, self._rules.strings)

    def _masked(self, resource: JsonObject) -> JsonObject:
        named = resource.get("resourceType") in self._rules.named
        return changed(resource, self._of_named if named else self._of_others)

    @cached_property
    def _of_others(self) -> Changes:
        return self._changes(self._kinds)

    @cached_property
    def _of_named(self) -> Changes:
        return self._changes(self._kinds - {"name"})

    def _changes(self, kinds: frozenset[Kind]) -> Changes:
        by_type: dict[str, Change] = {
            "Narrative": _removed,
            "string": self._text,
            "markdown": self._text,
            "Reference": self._reference,
        }
        if "name" in kinds:
            by_type["HumanName"] = _human_name
        if "contact" in kinds:
            by_type["ContactPoint"] = self._contact_point
        if "address" in kinds:
            by_type["Address"] = _address
        if "identity" in kinds:
            by_type["Identifier"] = self._identifier
        by_path: dict[str, Change] = dict.fromkeys(self._rules.removed, _removed)
        hidden: dict[Kind, Callable[[str], str]] = {
            "name": patterns.name,
            "identity": self._rules.identity.of,
        }
        for path, kind in self._rules.strings.items():
            if kind in kinds and kind in hidden:
                by_path[path] = _pattern(hidden[kind])
        if "name" in kinds:
            by_type["Annotation"] = self._annotation
        return Changes(by_type, by_path)

    def _text(self, value: Json, _path: str) -> Json:
        """Return a text without numbers that have the form of a person's."""
        if not isinstance(value, str):
            return value
        if "identity" in self._kinds:
            value = patterns.without_resident_ids(value, self._rules.identity)
        if "contact" in self._kinds:
            value = patterns.without_mobile_numbers(value, self._rules.phone)
        return value

    def _annotation(self, value: JsonObject, _path: str) -> Json:
        made = {name: each for name, each in value.items() if name not in ("extension", "authorString")}
        for name, change in (("text", self._text), ("authorReference", self._reference)):
            if name in made:
                made[name] = change(made[name], name)
        if "authorString" in value:
            made["authorString"] = patterns.name(str(value["authorString"]))
        return made

    def _reference(self, value: JsonObject, path: str) -> Json:
        """Return a reference without the name of the person, and with its identifier masked."""
        made = {name: each for name, each in value.items() if name != "extension"}
        if "display" in made:
            if "name" in self._kinds and _may_be_person(value, path):
                del made["display"]
            else:
                made["display"] = self._text(made["display"], "")
        if isinstance(made.get("identifier"), dict) and "identity" in self._kinds:
            made["identifier"] = self._identifier(made["identifier"], "")
        return made

    def _contact_point(self, value: JsonObject, _path: str) -> Json:
        number = value.get("value")
        made = _only(value, ("system", "use", "rank", "period"))
        if isinstance(number, str):
            is_mail = value.get("system") == "email" or "@" in number
            made["value"] = patterns.email(number) if is_mail else self._rules.phone.of(number)
        return made

    def _identifier(self, value: JsonObject, _path: str) -> Json:
        if not self._rules.identities.has(value):
            kept = dict(value)
            if "value" in kept:
                kept["value"] = self._text(kept["value"], "")
            if isinstance(kept.get("assigner"), dict):
                kept["assigner"] = self._reference(kept["assigner"], "Identifier.assigner")
            return kept
        made = _only(value, ("use", "type", "system", "period"))
        if isinstance(value.get("value"), str):
            made["value"] = self._rules.identity.of(value["value"])
        return made


def _may_be_person(reference: JsonObject, path: str) -> bool:
    """Say whether a reference at `path` may name a patient or who belongs to one."""
    targets = _targets(path)
    if targets and not targets & (_PERSONS | {"Resource"}):
        return False
    name = str(reference.get("reference", "")).partition("/_history/")[0]
    kind = str(reference.get("type") or name.rpartition("/")[0].rpartition("/")[2])
    return kind in _PERSONS or not kind[:1].isupper()


@cache
def _targets(path: str) -> frozenset[str]:
    """Return the types that the reference at `path` may lead to; none where any or that is not known."""
    above, _, name = path.rpartition(".")
    structure = structure_of(above)
    elements = structure.elements if structure is not None else ()
    return frozenset(target for each in elements if each.name == name for target in each.targets)


def _removed(_value: Json, _path: str) -> Json:
    return None


def _only(value: JsonObject, names: tuple[str, ...]) -> JsonObject:
    return {name: value[name] for name in names if name in value}


def _pattern(hide: Callable[[str], str]) -> Change:
    return lambda value, _path: hide(value) if isinstance(value, str) else value


def _human_name(value: JsonObject, _path: str) -> Json:
    """Return a HumanName with the first letter of the family name, or of the text."""
    made = _only(value, _PERIOD)
    for part in ("text", "family"):
        if isinstance(value.get(part), str):
            made[part] = patterns.name(value[part])
    given = value.get("given")
    if isinstance(given, list):
        made["given"] = [patterns.HIDDEN * len(each) if isinstance(each, str) else "*" for each in given]
    return made


def _address(value: JsonObject, _path: str) -> Json:
    """Return an Address down to the district."""
    return _only(value, ("use", "type", "country", "state", "city", "district", "period"))
