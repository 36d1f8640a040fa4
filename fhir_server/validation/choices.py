"""Elements with a choice of types, ``value[x]``: at most one form, and one where required.

https://hl7.org/fhir/R4/formats.html#choice
"""

from dataclasses import dataclass

from fhir_server.validation.definition import Element
from fhir_server.validation.finding import Finding, Findings, gather
from hie.core.fhir.json import Json, JsonObject


@dataclass(frozen=True, slots=True)
class Choice:
    """One ``stem[x]``: `values` are the properties of its forms, `names` these and their ``_`` twins."""

    stem: str
    names: frozenset[str]
    values: frozenset[str]
    is_required: bool

    @classmethod
    def of(cls, stem: str, forms: list[Element]) -> "Choice":
        """Return the choice that `forms` make."""
        values = frozenset(form.name for form in forms)
        twins = (f"_{form.name}" for form in forms if form.has_sibling)
        return cls(stem, values.union(twins), values, any(form.is_required for form in forms))


def check_choice(findings: Findings | None, value: JsonObject, choice: Choice) -> Findings | None:
    """Add to `findings` what is wrong with `choice` in `value`."""
    present = choice.names.intersection(value)
    forms = sorted({name.removeprefix("_") for name in present})
    if len(forms) > 1:
        listed = ", ".join(f"`{form}`" for form in forms)
        finding = Finding("structure", f"Only one form of `{choice.stem}[x]` may be given, found {listed}")
        return gather(findings, [finding], f".{choice.stem}")
    if choice.is_required and not any(
        name in choice.values or has_extension(value[name]) for name in present
    ):
        finding = Finding("required", f"One form of `{choice.stem}[x]` is required")
        return gather(findings, [finding], f".{choice.stem}")
    return findings


def has_extension(sibling: Json) -> bool:
    """Say whether the ``_`` twin of a primitive holds extensions, which may stand for its value.

    https://hl7.org/fhir/R4/extensibility.html#Special-Case
    """
    twins = sibling if type(sibling) is list else [sibling]
    return any(type(twin) is dict and twin.get("extension") for twin in twins)
