"""The roles of the portal, and the pages that each is led to.

Not access control: until authentication lands, the role is a cookie that anyone
on this machine may set. A new page enters the navigation here, and only here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

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
        Link("/metrics", "nav.metrics"),
        Link("/fhir/metadata", "nav.capability"),
    ),
    Role.ANALYST: (Link("/warning", "nav.warning"),),
}
"""What each role is led to; the first entry is its home."""


def home(role: Role) -> str:
    """Return the path of the page that a role begins with."""
    return NAVIGATION[role][0].path
