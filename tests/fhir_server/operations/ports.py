"""A terminology of one code system and a matcher by birth date: small, but they do what their ports say."""

from collections.abc import Sequence
from typing import Final

from hie.core.db.database import Transaction
from hie.core.errors import NotFoundError, RequestError
from hie.core.fhir.json import JsonObject
from hie.core.ports import (
    CodeValidation,
    Coding,
    ConceptDetails,
    Designation,
    PatientMatch,
    ResourceStore,
    Subsumption,
)

ANIMALS: Final = "http://animals.example"
VALUE_SET: Final = "http://animals.example/all"
_NAMES: Final = {"animal": "Animal", "dog": "Dog", "poodle": "Poodle", "cat": "Cat"}
_ABOVE: Final = {"dog": "animal", "cat": "animal", "poodle": "dog"}


def _ancestors(code: str) -> list[str]:
    found = []
    while code in _ABOVE:
        code = _ABOVE[code]
        found.append(code)
    return found


class SmallTerminology:
    """Knows ANIMALS and the value set of all of them, and value sets that list their codes."""

    def look_up(
        self,
        transaction: Transaction,
        coding: Coding,
        *,
        version: str | None,
        language: str | None,
        properties: Sequence[str],
    ) -> ConceptDetails:
        """Return display, parent, and the name in the language that is asked for."""
        assert transaction.connection is not None
        if coding.system != ANIMALS or coding.code not in _NAMES:
            raise NotFoundError(f"`{coding.code}` is not a code of {coding.system}")
        parent = Coding(ANIMALS, _ABOVE.get(coding.code, "animal"))
        known: dict[str, Coding | str | bool | int] = {
            "parent": parent,
            "depth": len(_ancestors(coding.code)),
            "tame": True,
            "note": "n",
        }
        return ConceptDetails(
            "Animals",
            _NAMES[coding.code],
            version,
            (Designation(_NAMES[coding.code], language or "en", Coding("http://use.example", "u")),),
            tuple((name, value) for name, value in known.items() if not properties or name in properties),
        )

    def validate_code(
        self, transaction: Transaction, coding: Coding, *, value_set: str | JsonObject | None
    ) -> CodeValidation:
        """Return whether the code is listed."""
        codes = self._codes(transaction, value_set)
        if coding.system != ANIMALS or coding.code not in codes:
            return CodeValidation(is_valid=False, message=f"`{coding.code}` is not there")
        if coding.display not in (None, _NAMES[coding.code]):
            return CodeValidation(is_valid=False, message="The display is wrong", display=_NAMES[coding.code])
        return CodeValidation(is_valid=True, display=_NAMES[coding.code])

    def subsumes(
        self, transaction: Transaction, system: str, code_a: str, code_b: str, *, version: str | None
    ) -> Subsumption:
        """Return the relation in the tree of animals."""
        assert transaction.connection is not None
        if system != ANIMALS or version not in (None, "1"):
            raise NotFoundError(f"There is no code system `{system}`")
        if code_a == code_b:
            return "equivalent"
        if code_a in _ancestors(code_b):
            return "subsumes"
        return "subsumed-by" if code_b in _ancestors(code_a) else "not-subsumed"

    def expand(
        self,
        transaction: Transaction,
        value_set: str | JsonObject,
        *,
        text: str | None,
        offset: int,
        count: int | None,
        language: str | None,
    ) -> JsonObject:
        """Return the concepts in the order of their codes."""
        codes = [code for code in sorted(self._codes(transaction, value_set)) if (text or "") in code]
        page = codes[offset : None if count is None else offset + count]
        contains = [{"system": ANIMALS, "code": code, "display": _NAMES[code]} for code in page]
        made: JsonObject = {"resourceType": "ValueSet", "status": "active"}
        if language is not None:
            made["language"] = language
        return {**made, "expansion": {"total": len(codes), "offset": offset, "contains": contains}}

    def close(
        self, transaction: Transaction, name: str, concepts: Sequence[Coding], *, version: str | None
    ) -> JsonObject:
        """Return who subsumes whom among `concepts`."""
        assert transaction.connection is not None
        codes = [each.code for each in concepts]
        elements = [
            {"code": code, "target": [{"code": above, "equivalence": "subsumes"}]}
            for code in codes
            for above in _ancestors(code)
            if above in codes
        ]
        return {
            "resourceType": "ConceptMap",
            "status": "active",
            "name": name,
            "version": version or "1",
            "group": [{"element": elements}],
        }

    def _codes(self, transaction: Transaction, value_set: str | JsonObject | None) -> set[str]:
        assert transaction.connection is not None
        if value_set in (None, VALUE_SET):
            return set(_NAMES)
        if isinstance(value_set, str):
            raise NotFoundError(f"There is no value set `{value_set}`")
        include = (value_set or {}).get("compose", {}).get("include", [])
        return {concept["code"] for each in include for concept in each.get("concept", [])}


class SmallMatcher:
    """Takes patients of the same birth date for the same, the more so if the gender is the same."""

    def __init__(self, store: ResourceStore) -> None:
        """Take what finds patients."""
        self._store = store

    def match(
        self, transaction: Transaction, patient: JsonObject, *, only_certain: bool, count: int | None
    ) -> Sequence[PatientMatch]:
        """Return patients of that birth date, those of the same gender first."""
        if "birthDate" not in patient:
            raise RequestError("A birth date is needed", expression="Patient.birthDate")
        page = self._store.search(transaction, "Patient", [("birthdate", patient["birthDate"])])
        same = [("gender", patient.get("gender", "unknown")), ("birthdate", patient["birthDate"])]
        alike = {entry.resource.id for entry in self._store.search(transaction, "Patient", same).entries}
        found = [
            PatientMatch(
                entry.resource.id,
                1.0 if entry.resource.id in alike else 0.5,
                "certain" if entry.resource.id in alike else "possible",
            )
            for entry in page.entries
        ]
        found.sort(key=lambda each: (-each.score, each.patient_id))
        if only_certain:
            found = [each for each in found if each.grade == "certain"]
        return found[:count]
