"""Findings of what resources carry: content that is too large, not what it says, a program, or infected.

For every resource that is written, by whichever way. What is refused is refused whole: a resource without
its attachment would say something else.
"""

import logging
from collections.abc import Callable
from typing import Final, Protocol

from prometheus_client import Counter

from fhir_server.attachments.clamd import Clamd
from fhir_server.attachments.contents import Content, contents_of
from hie.core.errors import Issue
from hie.core.fhir.json import JsonObject
from hie.core.fhir.signatures import HEAD_BYTES, contradicts, is_program, media_type
from hie.core.security_errors import ScannerError
from hie.core.settings import Settings

CONTENTS: Final = Counter(
    "hie_attachments", "Contents of Binary and Attachment by what was found", ["result"]
)
_LOG = logging.getLogger(__name__)


class Scanner(Protocol):
    """Says whether content is infected."""

    def threat(self, content: bytes) -> str | None:
        """Return the name of what is found, None where it is clean; raises ScannerError."""
        ...


def findings_of_attachments(settings: Settings) -> Callable[[JsonObject], list[Issue]]:
    """Return what finds fault with the contents of a resource; it raises ScannerError as the settings say."""
    scanner = Clamd(settings.clamav, seconds=settings.clamav_seconds) if settings.clamav else None

    def find(resource: JsonObject) -> list[Issue]:
        found = []
        for content in contents_of(resource):
            result, issue = _judged(content, settings, scanner)
            CONTENTS.labels(result).inc()
            if issue is not None:
                found.append(issue)
        return found

    return find


def _judged(content: Content, settings: Settings, scanner: Scanner | None) -> tuple[str, Issue | None]:
    limit = settings.attachment_bytes
    if content.most_bytes > limit and len(content.all()) > limit:
        return "too long", _issue(content, "too-long", f"The content is larger than {limit} bytes")
    head = content.head(HEAD_BYTES)
    if settings.attachment_types == "checked":
        if is_program(head):
            return "program", _issue(content, "business-rule", "The content is a program")
        if head and contradicts(head, content.content_type):
            declared = media_type(content.content_type)
            return "other type", _issue(
                content, "value", f"The content is not `{declared}`, as its content type says"
            )
    return _scanned(content, settings, scanner)


def _scanned(content: Content, settings: Settings, scanner: Scanner | None) -> tuple[str, Issue | None]:
    if scanner is None:
        return "taken", None
    try:
        threat = scanner.threat(content.all())
    except ScannerError as error:
        if settings.clamav_absent == "refused":
            raise
        _LOG.warning("Content was taken without a scan: %s", error)
        return "unscanned", None
    if threat is None:
        return "taken", None
    _LOG.warning("Content was refused: the virus scanner found %s", threat)
    return "infected", _issue(content, "business-rule", f"The virus scanner found `{threat}`")


def _issue(content: Content, code: str, message: str) -> Issue:
    return Issue("error", code, message, content.expression)
