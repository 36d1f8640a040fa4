"""Who asks, what of a type may be read, and what an interaction attempts: the words of `AccessPolicy`.

The port itself is `hie.core.ports.AccessPolicy`; here are the values that cross it, and
`Permissive`, the policy while listeners stay on loopback. No rule about patients lies here.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Final, Literal, LiteralString

from hie.core.fhir.json import JsonObject


class Role(StrEnum):
    """What an account may be. The last three are held by different people (三权分立)."""

    CITIZEN = "citizen"
    GUARDIAN = "guardian"
    CLINICIAN = "clinician"
    PHARMACIST = "pharmacist"
    REFERRAL_DESK = "referral-desk"
    CARD_DESK = "card-desk"
    OPERATOR = "operator"
    ANALYST = "analyst"
    PUBLIC_HEALTH_OFFICER = "public-health-officer"
    SYSTEM_ADMINISTRATOR = "system-administrator"
    SECURITY_OFFICER = "security-officer"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks: a process of ours ("system"), nobody known, a person, or a client application.

    `id` is the account, of a client on its own behalf its client_id; `client` is the application
    that a person uses. `scopes` are the SMART scopes that the token grants, None where none restrict
    (the portal's own session). `patient` is the id of the Patient that the person is, or that the
    application was launched for; `practitioner`, `organization` and `department` are ids of the resources
    that the person works as, for and in. `purpose` is a code of
    https://terminology.hl7.org/CodeSystem-v3-ActReason.html; `session` names the token or the session.
    """

    kind: Literal["system", "anonymous", "person", "client"]
    id: str
    client: str = ""
    roles: frozenset[Role] = frozenset()
    scopes: tuple[str, ...] | None = None
    patient: str = ""
    practitioner: str = ""
    organization: str = ""
    department: str = ""
    purpose: str = "TREAT"
    session: str = ""

    def is_party(self, other: "Requester") -> bool:
        """Return whether both are the same person or client, by the same application; sessions may differ."""
        return (self.kind, self.id, self.client) == (other.kind, other.id, other.client)

    def as_json(self) -> JsonObject:
        """Return the requester as it is kept with what is done for it later; `from_json` reads it."""
        found: JsonObject = {name: value for name, value in asdict(self).items() if value}
        found["roles"] = sorted(self.roles)
        if self.scopes is not None:
            found["scopes"] = list(self.scopes)
        return found

    @classmethod
    def from_json(cls, found: JsonObject) -> "Requester":
        """Return the requester that `as_json` wrote."""
        scopes = found.get("scopes")
        return cls(
            **{
                "id": "",
                **found,
                "roles": frozenset(Role(role) for role in found.get("roles", ())),
                "scopes": None if scopes is None else tuple(scopes),
            }
        )


SYSTEM: Final = Requester("system", "hie")
ANONYMOUS: Final = Requester("anonymous", "")


@dataclass(frozen=True, slots=True)
class Ids:
    """Ids of resources of one type that a table beside the repository holds.

    `select` is a SELECT of one column of text, with ``%s`` for each of `params`. `among` are ids of which
    these are some: who is none of them need not be looked for here, and many ask for the same.
    """

    select: LiteralString
    params: tuple[str | tuple[str, ...], ...] = ()
    among: "Ids | None" = None


Parameter = tuple[str, "str | Readable | Ids"]
"""One condition of an alternative.

Its value is the text of a search parameter's; Ids with the name ``_id``; or what must hold of other
resources at once, which a URL has no brackets for: ``subject:Patient`` of the one referred to,
``_has:Encounter:patient`` of one that refers here, ``any`` and ``not`` of the resource itself.
"""


@dataclass(frozen=True, slots=True)
class Readable:
    """What may be read of a resource type.

    Each alternative is a list of search parameters, all of which must hold
    (``(("patient", "Patient/1"),)``); a resource is readable if one alternative holds. `is_told` asks a
    search to say that something may be left out; it does, whether or not anything is.
    """

    alternatives: tuple[tuple[Parameter, ...], ...]
    is_told: bool = False

    @property
    def is_everything(self) -> bool:
        """Say whether there is no restriction."""
        return () in self.alternatives

    @property
    def is_nothing(self) -> bool:
        """Say whether no resource can be readable."""
        return not self.alternatives


EVERYTHING: Final = Readable(((),))
NOTHING: Final = Readable(())

Filters = Callable[[str], Readable]
"""What one requester may read, by the name of the resource type."""


def _absent() -> JsonObject | None:
    return None


def _unknown(_resource_type: str, _resource_id: str, _readable: Readable) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Attempt:
    """One interaction that somebody attempts.

    `interaction` is a code of https://hl7.org/fhir/R4/valueset-restful-interaction.html without
    its level ("create", "update", "patch", "delete", "read", "history") or an operation with its
    "$". `resource` is what is to be stored, its references resolved; None where nothing is.
    `read_stored` gives the resource as it is now; it costs a query, so `stored` is asked for only
    by the policies that need it. `selects` says whether the stored resource of a type and id, not deleted,
    satisfies alternatives, whatever the requester may read.
    """

    interaction: str
    resource_type: str | None
    resource_id: str | None = None
    resource: JsonObject | None = None
    read_stored: Callable[[], JsonObject | None] = field(default=_absent, compare=False, repr=False)
    selects: Callable[[str, str, Readable], bool] = field(default=_unknown, compare=False, repr=False)

    @property
    def stored(self) -> JsonObject | None:
        """The current content of the resource; of a deleted one its last; None when it never was."""
        return self.read_stored()


class Permissive:
    """Permits everything to everybody: `AccessPolicy` for servers that only this machine can reach."""

    def readable(self, requester: Requester, resource_type: str) -> Readable:  # noqa: ARG002 - the port's words
        """Return EVERYTHING."""
        return EVERYTHING

    def decide(self, requester: Requester, attempt: Attempt) -> None:
        """Permit the attempt."""
