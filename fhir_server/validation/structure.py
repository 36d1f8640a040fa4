"""The structural validator: says in microseconds whether JSON is a resource of FHIR R4.

It stands on every write. What a type looks like is compiled from fhir.resources' R4B classes, or
from the R4 definitions where R4B differs; it accepts and refuses what fhir.resources does, but for
the named differences that `tests/fhir_server/validation` lists with their reasons. Not checked:
bindings, invariants, profiles, targets of references.
"""

from collections.abc import Iterable

from fhir_server.definitions.bindings import required_codes
from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.validation import r4, r4b
from fhir_server.validation.definition import ANY_RESOURCE, TypeDefinition
from fhir_server.validation.finding import MAX_FINDINGS
from fhir_server.validation.rules import RESOURCE_TYPE, RuleSet
from hie.core.errors import Issue
from hie.core.fhir.json import Json


class StructureValidator:
    """Checks resources as `hie.core.fhir.json.loads` gives them; no subclasses of str, int or dict.

    Compiles a type when it is first met and keeps it; share one instance among threads.
    """

    def __init__(self) -> None:
        self._rules = RuleSet(load_definition, R4_RESOURCE_TYPES, required_codes)
        self._any_resource = self._rules.rule(ANY_RESOURCE)

    def prepare(self, resource_types: Iterable[str]) -> None:
        """Compile `resource_types` now, else the first resource of each waits for imports of classes."""
        self._rules.prepare(resource_types)

    def is_valid(self, resource: Json) -> bool:
        """Say whether `resource` is valid, without allocating anything when it is."""
        return self._any_resource(resource, 1) is None

    def validate(self, resource: Json) -> list[Issue]:
        """Return every finding about `resource`, empty when it is valid.

        Raises nothing for bad data. Past `MAX_FINDINGS` the rest is left out, which a last issue says.
        """
        findings = self._any_resource(resource, 1)
        if findings is None:
            return []
        root = resource.get(RESOURCE_TYPE) if type(resource) is dict else None
        expression = root if isinstance(root, str) and root in R4_RESOURCE_TYPES else ANY_RESOURCE
        issues = [finding.issue(expression) for finding in findings]
        if len(issues) >= MAX_FINDINGS:
            issues.append(Issue("information", "incomplete", "There may be more findings", expression))
        return issues


def load_definition(name: str) -> TypeDefinition | None:
    """Return the definition of a type: R4's own where it is held, else that of fhir.resources' R4B class."""
    return r4.load(name) or r4b.load(name)
