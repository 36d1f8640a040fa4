"""One thing wrong, at a place relative to the element that was looked at.

A finding climbs: each rule that passes it on puts its own step before the path, so that the paths
of a valid resource are never built. At the top it becomes an `Issue` with a whole expression.
"""

from dataclasses import dataclass
from typing import Final

from hie.core.errors import Issue

MAX_FINDINGS: Final = 100
"""As many findings of one resource are reported; a body of garbage must not be answered by its size."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong (`code` from https://hl7.org/fhir/R4/valueset-issue-type.html) and where.

    `path` is the rest of the expression below the element that was looked at: "", "[0].family".
    `gaps` are the positions of nulls in an array of primitives. They are right where the ``_``
    twin of the array has an element at the same position; only the object that holds both can tell.
    """

    code: str
    message: str
    path: str = ""
    gaps: tuple[int, ...] = ()

    def under(self, step: str) -> "Finding":
        """Return the finding as seen from the parent, which reaches this element by `step`."""
        return Finding(self.code, self.message, step + self.path)

    def issue(self, root: str) -> Issue:
        """Return the finding about a resource of type `root`."""
        return Issue("error", self.code, self.message, root + self.path)


Findings = list[Finding]


def gather(findings: Findings | None, found: Findings, step: str) -> Findings:
    """Add `found`, seen through `step`, to `findings`; past the limit they are dropped."""
    if findings is None:
        return [finding.under(step) for finding in found[:MAX_FINDINGS]]
    findings.extend(finding.under(step) for finding in found[: MAX_FINDINGS - len(findings)])
    return findings
