"""The invariants of FHIR R4: what must be true of each element beyond its shape.

Reads `invariants.json` (made by `invariants_extract`). Some expressions of R4 4.0.1 do not say what
their sentence says; `ERRATA` has what is evaluated in their place. Checked by
`fhir_server.validation.invariants`. https://hl7.org/fhir/R4/conformance-rules.html#constraints
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

import orjson

_FILE: Final = Path(__file__).with_name("invariants.json")


@dataclass(frozen=True, slots=True)
class Invariant:
    """One constraint: its `key` ("pat-1"), how bad a breach is, what must be true, and that in words."""

    key: str
    severity: Literal["error", "warning"]
    expression: str
    human: str


@dataclass(frozen=True, slots=True)
class Erratum:
    """An expression of R4 that is wrong: what is `published`, what is `evaluated` instead, and why."""

    published: str
    evaluated: str
    reason: str


# Where the sources below say "validator", it is FHIRPathExpressionFixer.java of
# github.com/hapifhir/org.hl7.fhir.core, the reference implementation, which corrects the same ones.
_REFERENCE: Final = (
    "reference.startsWith('#').not()"
    " or (reference.substring(1).trace('url') in %rootResource.contained.id.trace('ids'))"
)
_NAME: Final = "name.matches('[A-Z]([A-Za-z0-9_]){0,254}')"

ERRATA: Final[tuple[Erratum, ...]] = (
    Erratum(
        _REFERENCE,
        f"reference.exists() implies (reference = '#' or ({_REFERENCE}))",
        "ref-1: a Reference may have an identifier only, and `#` is the container itself "
        "(https://hl7.org/fhir/R4/references.html#contained; validator)",
    ),
    Erratum(
        "fullUrl.contains('/_history/').not()",
        "fullUrl.exists() implies fullUrl.contains('/_history/').not()",
        "bdl-8: fullUrl is optional (validator)",
    ),
    Erratum(
        _NAME,
        "name.exists() implies name.matches('^[A-Z]([A-Za-z0-9_]){0,254}$')",
        "cnl-0 of R5, inv-0 and *-0 of R4: the name is optional, and all of it is meant (validator)",
    ),
    Erratum(
        "probability is decimal implies (probability as decimal) <= 100",
        "(probability.exists() and (probability is decimal)) implies ((probability as decimal) <= 100)",
        "ras-2: a prediction may have no probability (validator)",
    ),
    Erratum(
        "enableWhen.count() > 2 implies enableBehavior.exists()",
        "enableWhen.count() >= 2 implies enableBehavior.exists()",
        "que-12: its sentence says more than one, as does R4B's expression (validator)",
    ),
    Erratum(
        "operator = 'exists' implies (answer is Boolean)",
        "operator = 'exists' implies (answer is boolean)",
        "que-7: the answer is of FHIR's type boolean, not of System.Boolean, as R5 has it",
    ),
    Erratum(
        "contained.where((('#'+id in (%resource.descendants().reference"
        " | %resource.descendants().as(canonical) | %resource.descendants().as(uri)"
        " | %resource.descendants().as(url))) or descendants().where(reference = '#').exists()"
        " or descendants().where(as(canonical) = '#').exists()"
        " or descendants().where(as(canonical) = '#').exists()).not()).trace('unmatched', id).empty()",
        "contained.where((('#'+id in (%resource.descendants().reference"
        " | %resource.descendants().ofType(canonical) | %resource.descendants().ofType(uri)"
        " | %resource.descendants().ofType(url))) or descendants().where(reference = '#').exists()"
        " or descendants().where(ofType(canonical) = '#').exists()"
        " or descendants().where(ofType(uri) = '#').exists()).not()).empty()",
        "dom-3: `as` takes one item, many are meant, as R5's ofType says; the last line was meant for uri",
    ),
    Erratum(
        "text.`div`.exists()",
        "(%rootResource != $this) or text.`div`.exists()",
        "dom-6: not asked of a contained resource, which SHOULD have no narrative "
        "(https://hl7.org/fhir/R4/references.html#contained; validator)",
    ),
)


@cache
def invariants() -> Mapping[str, tuple[Invariant, ...]]:
    """Return the invariants by the path that defines them, without [x] ("Patient.contact"), corrected."""
    evaluated = {erratum.published: erratum.evaluated for erratum in ERRATA}
    table = orjson.loads(_FILE.read_bytes())["invariants"]
    return {
        path: tuple(
            Invariant(key, severity, evaluated.get(expression, expression), human)
            for key, severity, expression, human in rows
        )
        for path, rows in table.items()
    }
