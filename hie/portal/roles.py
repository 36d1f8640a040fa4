"""The roles of the portal, and the pages that each is led to.

Not access control: a page is shown to whoever the access policy lets read it. Where authentication is off the
role is a cookie; where it is on, an account's roles say which of these it may choose from. A new page enters
the navigation here, and only here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hie.core import access

COOKIE: Final = "role"


class Role(StrEnum):
    """Whose work the portal shows."""

    CLINICIAN = "clinician"
    OPERATOR = "operator"
    ANALYST = "analyst"

    @classmethod
    def of(cls, name: str | None) -> "Role":
        """Return the role that a cookie names; the clinician for anything else."""
        return cls(name) if name in tuple(cls) else cls.CLINICIAN


@dataclass(frozen=True, slots=True)
class Link:
    """One entry of the navigation: its path, its text key, and the paths below it that belong to it."""

    path: str
    text: str
    below: tuple[str, ...] = ()

    def is_current(self, path: str) -> bool:
        """Whether the page at `path` belongs to this entry."""
        return path == self.path or path.startswith(self.below or self.path.rstrip("/") + "/")


NAVIGATION: Final[Mapping[Role, tuple[Link, ...]]] = {
    Role.CLINICIAN: (Link("/", "nav.patients", ("/patients",)),),
    Role.OPERATOR: (
        Link("/gateway", "nav.gateway"),
        Link("/jobs", "nav.jobs"),
        Link("/subscriptions", "nav.subscriptions"),
        Link("/audit", "nav.audit"),
        Link("/metrics", "nav.metrics"),
        Link("/fhir/metadata", "nav.capability"),
    ),
    Role.ANALYST: (Link("/warning", "nav.warning"), Link("/projects", "nav.projects")),
}
"""What each role is led to; the first entry is its home."""


# What accounts are led to, by their roles; an account with none of these has its own page only.
_OF_ACCOUNTS: Final[Mapping[access.Role, Role]] = {
    access.Role.CLINICIAN: Role.CLINICIAN,
    access.Role.PHARMACIST: Role.CLINICIAN,
    access.Role.OPERATOR: Role.OPERATOR,
    access.Role.ANALYST: Role.ANALYST,
    access.Role.PUBLIC_HEALTH_OFFICER: Role.ANALYST,
}
_ACCOUNT: Final = Link("/account", "nav.account")
_ADMINISTRATION: Final = Link("/administration", "nav.administration")
_SIGN_IN: Final = Link("/sign-in", "nav.sign-in")
# The pages of the audit trail, by who has them; operators have none where authentication is on.
_TRAIL: Final[tuple[tuple[access.Role, Link], ...]] = (
    (access.Role.AUDITOR, Link("/audit", "nav.audit")),
    (access.Role.SECURITY_OFFICER, Link("/emergencies", "nav.emergencies")),
    (access.Role.SECURITY_OFFICER, Link("/audit", "nav.audit")),
    (access.Role.SECURITY_OFFICER, Link("/complaints", "nav.complaints")),
    (access.Role.SECURITY_OFFICER, Link("/projects", "nav.projects")),
    (access.Role.SECURITY_OFFICER, Link("/rights", "nav.rights-desk")),
    (access.Role.CARD_DESK, Link("/card-desk", "nav.card-desk")),
    (access.Role.CARD_DESK, Link("/rights", "nav.rights-desk")),
    (access.Role.SECURITY_OFFICER, Link("/processing", "nav.processing")),
    (access.Role.CITIZEN, Link("/my/accesses", "nav.accesses")),
    (access.Role.CITIZEN, Link("/my/rights", "nav.rights")),
    (access.Role.GUARDIAN, Link("/my/rights", "nav.rights")),
    (access.Role.CITIZEN, Link("/my/consents", "nav.consents")),
    (access.Role.GUARDIAN, Link("/my/consents", "nav.consents")),
    (access.Role.CITIZEN, Link("/my/notices", "nav.notices")),
    (access.Role.CLINICIAN, Link("/emergency", "nav.emergency")),
)


@dataclass(frozen=True, slots=True)
class Guidance:
    """Where a reader is led: the role that is shown, those to choose from, the navigation from home on."""

    role: Role | None
    choices: tuple[Role, ...]
    navigation: tuple[Link, ...]

    @property
    def home(self) -> str:
        """The path of the page to begin with."""
        return self.navigation[0].path


def guidance(requester: access.Requester | None, chosen: str | None) -> Guidance:
    """Return where `requester` is led, None where authentication is off; `chosen` is the cookie's role."""
    if requester is None:
        role = Role.of(chosen)
        return Guidance(role, tuple(Role), NAVIGATION[role])
    if requester.kind != "person":
        return Guidance(None, (), (_SIGN_IN,))
    choices = tuple(role for role in Role if role in {_OF_ACCOUNTS.get(each) for each in requester.roles})
    own = Role.of(chosen) if Role.of(chosen) in choices else next(iter(choices), None)
    administration = (_ADMINISTRATION,) if access.Role.SYSTEM_ADMINISTRATOR in requester.roles else ()
    pages = [link for link in (NAVIGATION[own] if own is not None else ()) if link.path != "/audit"]
    trail = dict.fromkeys(link for role, link in _TRAIL if role in requester.roles)
    return Guidance(own, choices, (*pages, *trail, *administration, _ACCOUNT))


def home(role: Role) -> str:
    """Return the path of the page that a role begins with."""
    return NAVIGATION[role][0].path
