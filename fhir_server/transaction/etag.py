"""Entity tags of versions, as If-Match and If-None-Match list them.

https://hl7.org/fhir/R4/http.html#versioning, https://www.rfc-editor.org/rfc/rfc9110#section-13.1
"""

import re
from dataclasses import dataclass

from hie.core.errors import RequestError

_TAG = re.compile(r'(?:W/)?"([^"]+)"')
_MOST_DIGITS = 9  # of an int4


@dataclass(frozen=True, slots=True)
class ETags:
    """The versions that a condition names; None is ``*``, any version there is."""

    versions: tuple[int, ...] | None

    def names(self, version: int) -> bool:
        """Say whether `version`, one that exists, is among them."""
        return self.versions is None or version in self.versions

    def __str__(self) -> str:
        """Return the versions as a sentence names them."""
        return "*" if self.versions is None else ", ".join(map(str, self.versions))


def parse_etags(text: str, *, expression: str | None = None) -> ETags:
    """Return what ``W/"3"``, a list of such or ``*`` names; raises RequestError.

    0 stands for a tag that is no version's.
    """
    if text.strip() == "*":
        return ETags(None)
    return ETags(tuple(_version(each, expression) for each in text.split(",")))


def _version(text: str, expression: str | None) -> int:
    found = _TAG.fullmatch(text.strip())
    if found is None:
        raise RequestError(f'`{text.strip()}` is not an ETag of the form W/"1"', expression=expression)
    version = found.group(1)
    return int(version) if version.isascii() and version.isdigit() and len(version) <= _MOST_DIGITS else 0
