"""The access policy of servers that ask who sends a request: `AccessPolicy` of `hie.core.ports`.

Asks `rules` and remembers its answers for the day; holds no rule of its own.
"""

from collections.abc import Iterator
from datetime import date, tzinfo
from functools import lru_cache
from typing import Final

from hie.core.access import EVERYTHING, Attempt, Readable, Requester
from hie.core.clock import Clock
from hie.core.errors import ForbiddenError
from hie.core.fhir.json import Json, JsonObject
from hie.core.smart_scopes import for_letter
from hie.policy import rules
from hie.policy.policy import Policy
from hie.policy.queries import opened
from hie.policy.rules import Facts, Wards, Withheld

_LETTERS: Final = {
    "create": "c",
    "read": "r",
    "vread": "r",
    "history": "r",
    "update": "u",
    "patch": "u",
    "delete": "d",
    # What changes labels only writes as an update does; the rule of the operation is asked as well.
    "$meta-add": "u",
    "$meta-delete": "u",
}
# Requesters times types times days; an answer is some kilobytes.
_REMEMBERED: Final = 8_192


class RuledPolicy:
    """Decides by the tables of `policy`; safe to share between threads."""

    def __init__(
        self,
        policy: Policy,
        *,
        withheld: Withheld,
        wards: Wards,
        base_url: str,
        zone: tzinfo,
        clock: Clock,
    ) -> None:
        """Take the tables, where facts come from, and the zone whose days ages are counted by."""
        self._policy = policy
        self._withheld = withheld
        self._wards = wards
        self._base_url = base_url.rstrip("/")
        self._zone = zone
        self._clock = clock
        self._permitted = lru_cache(_REMEMBERED)(self._ask)
        self._patients = lru_cache(_REMEMBERED)(self._ask_patients)

    def readable(self, requester: Requester, resource_type: str) -> Readable:
        """Return which resources of `resource_type` the requester may read."""
        if requester.kind == "system":
            return EVERYTHING
        return self._permitted(_without_session(requester), "r", resource_type, self._today())

    def decide(self, requester: Requester, attempt: Attempt) -> None:
        """Raise ForbiddenError unless the requester may do what it attempts."""
        if requester.kind == "system":
            return
        if attempt.interaction.startswith("$") and not rules.may_operate(
            self._policy, requester, attempt.interaction
        ):
            raise ForbiddenError(f"The requester may not call `{attempt.interaction}`")
        letter = _LETTERS.get(attempt.interaction)
        if letter == "r":  # SMART's, without its s
            requester = for_letter(requester, letter)
        if letter is None:
            if not attempt.interaction.startswith("$"):
                raise ForbiddenError(f"No rule knows `{attempt.interaction}`")
            return
        if attempt.resource_type is None or (
            attempt.interaction.startswith("$") and attempt.resource is None
        ):
            return
        if not self._may(requester, letter, attempt, attempt.resource_type):
            raise ForbiddenError(f"The requester may not {attempt.interaction} this {attempt.resource_type}")

    def _may(  # noqa: PLR0911 - each return is one reason to refuse
        self, requester: Requester, letter: str, attempt: Attempt, resource_type: str
    ) -> bool:
        policy = self._policy
        if not rules.may(policy, requester, letter, resource_type):
            return False
        stored = attempt.stored if letter != "c" else None
        if letter == "u" and stored is None:
            # An update as create (https://hl7.org/fhir/R4/http.html#upsert).
            letter = "c" if attempt.resource is not None else "u"
            if not rules.may(policy, requester, letter, resource_type):
                return False
        if letter == "c" and any(
            each.parameters for each in rules.scopes_of(requester, letter, resource_type)
        ):
            return False  # no search tells what is not stored yet
        contents = [each for each in (stored, attempt.resource) if each is not None]
        if letter == "r" and not contents:
            return False
        if stored is not None and attempt.resource is not None and self._loses_labels(requester, attempt):
            return False
        if not all(self._is_permitted(requester, letter, each, attempt) for each in contents):
            return False
        # What contents do not say: the search of a scope, and whether a Consent withholds a sensitive class.
        is_asked = (
            stored is not None
            and letter != "r"
            and (
                not self._policy.sensitive.isdisjoint(labels_of(stored))
                or any(each.parameters for each in rules.scopes_of(requester, letter, resource_type))
            )
        )
        return not is_asked or self._matches_stored(requester, letter, attempt, resource_type)

    def _is_permitted(self, requester: Requester, letter: str, content: JsonObject, attempt: Attempt) -> bool:
        """Return whether labels and Patients of `content` are no obstacle."""
        resource_type = str(content.get("resourceType", ""))
        is_sensitive = not self._policy.sensitive.isdisjoint(labels_of(content))
        if is_sensitive and not rules.is_cleared(self._policy, requester, letter, resource_type):
            return False
        wanted = self._patients(_without_session(requester), letter, resource_type, self._today())
        if wanted.is_everything:
            return True
        if resource_type == rules.PATIENT:
            named = {str(attempt.resource_id or content.get("id", ""))}
        else:
            named = set(patients_in(content, self._base_url))
        return bool(named) and all(attempt.selects(rules.PATIENT, each, wanted) for each in sorted(named))

    def _matches_stored(
        self, requester: Requester, letter: str, attempt: Attempt, resource_type: str
    ) -> bool:
        """Return whether the stored resource is one of those that the requester may change."""
        wanted = self._permitted(_without_session(requester), letter, resource_type, self._today())
        if wanted.is_everything:
            return True
        return attempt.selects(resource_type, attempt.resource_id or "", wanted)

    def _loses_labels(self, requester: Requester, attempt: Attempt) -> bool:
        if rules.may_operate(self._policy, requester, "$meta-delete"):
            return False
        return rules.lost_labels(
            self._policy, labels_of(attempt.stored or {}), labels_of(attempt.resource or {})
        )

    def _ask(self, requester: Requester, letter: str, resource_type: str, today: date) -> Readable:
        return rules.permitted(self._policy, requester, letter, resource_type, self._facts(today))

    def _ask_patients(self, requester: Requester, letter: str, resource_type: str, today: date) -> Readable:
        return rules.patients(self._policy, requester, letter, resource_type, self._facts(today))

    def _facts(self, today: date) -> Facts:
        return Facts(self._withheld, self._wards, opened, today)

    def _today(self) -> date:
        return self._clock.now().astimezone(self._zone).date()


def labels_of(resource: JsonObject) -> set[tuple[str, str]]:
    """Return system and code of the security labels of `resource`."""
    meta = resource.get("meta")
    labels = meta.get("security", ()) if isinstance(meta, dict) else ()
    return {(each.get("system", ""), each.get("code", "")) for each in labels if isinstance(each, dict)}


def patients_in(value: Json, base_url: str) -> Iterator[str]:
    """Yield the ids of all Patients that `value` refers to, however deep."""
    if isinstance(value, dict):
        literal = value.get("reference")
        if isinstance(literal, str):
            parts = literal.removeprefix(f"{base_url}/").split("/")
            if parts[0] == rules.PATIENT and len(parts) > 1:
                yield parts[1]
        for each in value.values():
            yield from patients_in(each, base_url)
    elif isinstance(value, list):
        for each in value:
            yield from patients_in(each, base_url)


@lru_cache(_REMEMBERED)
def _without_session(requester: Requester) -> Requester:
    """Return the requester as whom the answers are remembered: by whichever session it comes."""
    return Requester(
        requester.kind,
        requester.id,
        requester.client,
        requester.roles,
        requester.scopes,
        requester.patient,
        requester.practitioner,
        requester.organization,
        requester.department,
        requester.purpose,
    )
