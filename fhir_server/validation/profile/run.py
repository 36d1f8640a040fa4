"""One validation: what was found so far, what was decided so far, and what rules may ask for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from fhir_server.definitions.invariants import Invariant
from fhir_server.validation.finding import MAX_FINDINGS
from fhir_server.validation.invariants import holds
from fhir_server.validation.profile.item import Item
from fhir_server.validation.profile.reference import Targets
from fhir_server.validation.profile.rule import Rule
from fhir_server.validation.terminology import Terminology
from hie.core.errors import ExchangeError, Issue, Severity
from hie.core.fhir.json import Json, JsonObject
from hie.core.fhir.structure import is_subtype
from hie.core.fhirpath.expression import Environment

# A resource whose references lead through so many profiles is not followed further.
_DEEPEST = 40
# So many reasons are given why a value is in no slice.
_REASONS = 5


@dataclass(frozen=True, slots=True)
class Profile:
    """A compiled StructureDefinition: its canonical `url`, the `type` it is of, and its rule for that."""

    url: str
    type: str
    rule: Rule
    is_modifier: bool = False
    contexts: tuple[tuple[str, str], ...] = ()
    """Where an extension may stand: kind ("element", "extension", "fhirpath") and expression."""
    parts: frozenset[str] = frozenset()
    """The urls of the extensions that a complex extension consists of."""


class _Refused(Exception):  # noqa: N818 # a signal: the answer of a probe is known
    pass


@dataclass(slots=True)
class Run:
    """State of one validation; not shared between threads."""

    profile_of: Callable[[str], Profile | None]
    failure_of: Callable[[str], str | None]
    terminology: Terminology
    targets: Targets
    now: datetime
    issues: list[Issue] = field(default_factory=list)
    unknowns: int = 0
    """How often it could not be told whether a code is in a value set that it must be in."""
    _profile: Profile | None = None
    _probes: int = 0
    _depth: int = 0
    # whether it conforms, and whether that is known for sure
    _conforming: dict[tuple[int, str], tuple[bool, bool]] = field(default_factory=dict)
    _validated: set[tuple[int, str]] = field(default_factory=set)
    _environments: dict[int, Environment] = field(default_factory=dict)
    # what ids stand for must outlive the memory of it
    _kept: list[Json] = field(default_factory=list)

    def report(self, item: Item, severity: Severity, code: str, message: str, *, step: str = "") -> None:
        """Take a finding about `item`, or about what `step` would lead to from it."""
        if self._probes:
            if severity == "error":
                raise _Refused
            return
        if len(self.issues) < MAX_FINDINGS:
            about = f" ({self._profile.url})" if self._profile is not None else ""
            issue = Issue(severity, code, f"{message}{about}", f"{item.expression}{step}")
            # what a slice inherits from its element is asked twice
            if issue not in self.issues:
                self.issues.append(issue)

    def validate(self, item: Item, url: str, *, is_asked: bool = False) -> None:
        """Report what is wrong with `item` as the profile `url` sees it; nothing if that was done before.

        A profile that is not known is an error where `is_asked`, else a warning.
        """
        key = (id(item.value), url)
        if (key in self._validated and not self._probes) or self._depth > _DEEPEST:
            return
        profile = self.profile_of(url)
        if profile is None:
            # what an extension means may be unknown to whom it does not concern
            weight: Severity = "information" if item.type == "Extension" else "warning"
            severity: Severity = "error" if is_asked else weight
            why = self.failure_of(url) or f"The profile `{url}` is not known here"
            self.report(item, severity, "not-found", f"{why}; it was not checked")
            return
        if not self._probes:
            self._validated.add(key)
            self._kept.append(item.value)
        before, self._profile = self._profile, profile
        self._depth += 1
        try:
            if is_subtype(item.type, profile.type):
                profile.rule.check(self, item)
            else:
                self.report(
                    item, "error", "structure", f"The profile is for {profile.type}, this is a {item.type}"
                )
        finally:
            self._profile = before
            self._depth -= 1

    def conforms(self, item: Item, url: str) -> bool:
        """Say whether `item` conforms to the profile `url`, as far as that is known; reports nothing.

        A resource that is met again while it is looked at conforms, unless something else is wrong.
        """
        key = (id(item.value), url)
        known = self._conforming.get(key)
        if known is None:
            self._conforming[key] = (True, True)
            self._kept.append(item.value)
            before = self.unknowns
            is_accepted = self.accepts(lambda: self.validate(item, url))
            self._conforming[key] = (is_accepted, not is_accepted or self.unknowns == before)
            return is_accepted
        if not known[1]:
            self.unknowns += 1
        return known[0]

    def explain(self, item: Item, url: str, slice_label: str) -> None:
        """Report as information why `item` does not conform to the profile `url` and so is in no slice."""
        if self._probes:
            return
        issues, self.issues = self.issues, []
        validated, self._validated = self._validated, set()
        self.validate(item, url)
        reasons = [issue for issue in self.issues if issue.severity == "error"][:_REASONS]
        self.issues, self._validated = issues, validated
        for reason in reasons:
            message = f"Not of `{slice_label}`: {reason.message}"
            self.issues.append(Issue("information", reason.code, message, reason.expression))

    def accepts(self, look: Callable[[], None]) -> bool:
        """Say whether `look` reports no error; nothing is kept of what it reports."""
        self._probes += 1
        try:
            look()
        except _Refused:
            return False
        else:
            return True
        finally:
            self._probes -= 1

    def resolve(self, reference: Item) -> Item | None:
        """Return the resource that `reference` names, None if it cannot be found."""
        return self.targets.of(reference)

    def check_invariant(self, invariant: Invariant, item: Item) -> None:
        """Report `invariant` if it does not hold of `item`."""
        try:
            is_true = holds(invariant, item, self._environment(item))
        except ExchangeError as error:
            self.report(
                item,
                "warning",
                "not-supported",
                f"The invariant {invariant.key} was not checked: {error.message}",
            )
            return
        if not is_true:
            self.report(item, invariant.severity, "invariant", f"{invariant.key}: {invariant.human}")

    def _environment(self, item: Item) -> Environment:
        holders = item.holders()
        resource = next(holders)
        found = self._environments.get(id(resource.value))
        if found is None:
            is_contained = resource.element is not None and resource.element.name == "contained"
            container = next(holders, resource) if is_contained else resource
            found = self._environments[id(resource.value)] = Environment(
                now=self.now,
                resolve=lambda literal: self._resolved(resource, literal),
                member_of=lambda value, url: self.terminology.has_concept(url, value),
                conforms_to=self._conforms_to,
                resource=resource.value,
                root=container.value,
            )
            self._kept.append(resource.value)
        return found

    def _resolved(self, resource: Item, literal: str) -> JsonObject | None:
        reference = Item(literal, None, "uri", "uri", "", resource, "")
        found = self.targets.of(reference)
        return None if found is None else found.value

    def _conforms_to(self, resource: JsonObject, url: str) -> bool | None:
        if self.profile_of(url) is None:
            return None
        name = resource.get("resourceType", "")
        return self.conforms(Item(resource, None, name, name, name, None, name), url)
