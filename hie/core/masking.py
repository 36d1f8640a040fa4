"""The port of masking: what of a resource a requester is shown though it may be read.

Whether a resource may be read is the access policy's word (`hie.core.ports.AccessPolicy`); here is which of
its elements are shown whole. The rules are another's (`hie.privacy.masking`).
"""

from typing import Final, NamedTuple, Protocol

from hie.core.access import Requester
from hie.core.fhir.json import Json, JsonObject

# How a resource was altered: below _SECALTINTOBV of
# https://terminology.hl7.org/CodeSystem-v3-ObservationValue.html
OBSERVATION_VALUE: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
MASKED: Final = {"system": OBSERVATION_VALUE, "code": "MASKED", "display": "masked"}
PSEUDED: Final = {"system": OBSERVATION_VALUE, "code": "PSEUDED", "display": "pseudonymized"}


class Asked(NamedTuple):
    """A search parameter as it is asked for: its FHIRPath `expression`, the `modifier`, and the `value`.

    `value` is None where the parameter orders the matches. `type` is that of
    https://hl7.org/fhir/R4/valueset-search-param-type.html.
    """

    resource_type: str
    code: str
    type: str
    expression: str
    modifier: str = ""
    value: str | None = None


class Mask(Protocol):
    """What one requester is shown of resources; pure, and asked for every resource of an answer."""

    def shown(self, resource_type: str, body: bytes) -> bytes:
        """Return the resource in JSON `body` as it is shown: the same bytes where nothing is masked.

        What is masked carries the label MASKED in meta.security.
        """
        ...

    def changes(self, resource: JsonObject) -> bool:
        """Say whether something of `resource` is masked."""
        ...

    def hides(self, asked: Asked) -> bool:
        """Say whether a search by `asked` would tell what is masked."""
        ...


class Masking(Protocol):
    """Says what a requester is shown."""

    def mask(self, requester: Requester) -> Mask | None:
        """Return the mask for the requester; None where all is shown as it is stored."""
        ...


class Unmasked:
    """Shows everything to everybody."""

    def mask(self, requester: Requester) -> Mask | None:  # noqa: ARG002 - the port's words
        """Return None."""
        return None


def is_masked(resource: JsonObject) -> bool:
    """Say whether `resource` carries the label MASKED, so that it is no whole resource."""
    meta: Json = resource.get("meta")
    labels = meta.get("security") if isinstance(meta, dict) else None
    return isinstance(labels, list) and any(
        isinstance(label, dict) and (label.get("system"), label.get("code")) == (OBSERVATION_VALUE, "MASKED")
        for label in labels
    )


def labelled(resource: JsonObject, label: JsonObject) -> JsonObject:
    """Return `resource` with `label` among its meta.security, once."""
    meta = dict(resource.get("meta") or {})
    others = [each for each in meta.get("security") or () if each != label]
    meta["security"] = [*others, dict(label)]
    # the order of https://hl7.org/fhir/R4/json.html: type, id, meta
    first = [name for name in ("resourceType", "id") if name in resource]
    made: JsonObject = {name: resource[name] for name in first}
    made["meta"] = meta
    return made | {name: value for name, value in resource.items() if name not in made}
