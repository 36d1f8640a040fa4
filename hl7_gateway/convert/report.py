"""What became of the parts of a message that the Bundle does not show.

It names places and reasons, never values: a report is logged and shown to operators, so it holds no
patient's data.
"""

from dataclasses import dataclass, field
from typing import NamedTuple


class Unmapped(NamedTuple):
    """One part of the message that is not in the Bundle.

    `location` is a segment ("ZPI"), a field ("PID-33"), one of its components ("PID-3.9"), sub-components
    ("PID-3.4.4") or repetitions ("PID-3[2].9"); `segment` the 0-based position of its segment in the
    message; `length` the number of characters that are not in the Bundle.
    """

    location: str
    length: int
    reason: str
    segment: int


class Kept(NamedTuple):
    """One part of the message that is held elsewhere than in a FHIR element: `where` says where."""

    location: str
    where: str
    segment: int


@dataclass(slots=True)
class Report:
    """The account of one conversion: every leaf is in the Bundle, in `kept` or in `unmapped`."""

    unmapped: list[Unmapped] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
