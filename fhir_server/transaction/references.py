"""References inside a Bundle, turned into references to stored resources.

Replaced: Reference.reference, the links of a narrative, and elements of type uri and url that are links
(`links`, which quotes the rule), where they are an entry's fullUrl, exactly or up to a `#`; never elements of
type canonical (https://hl7.org/fhir/R4/http.html#trules), nor strings such as Identifier.value. Conditional
references are resolved (https://hl7.org/fhir/R4/http.html#trefs). The resources given are not changed: only
what lies on the path to a replaced value is copied.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from fhir_server.transaction.links import NAMES, relinked
from hie.core.errors import ExchangeError, InvalidReferenceError
from hie.core.fhir.json import Json, JsonObject

_CONDITIONAL = re.compile(r"([A-Z][A-Za-z]+)\?(.*)", re.DOTALL)
_NARRATIVE_LINK = re.compile(r"""((?:href|src)\s*=\s*)(["'])([^"'#]+)((?:#[^"']*)?)\2""")

_REWRITTEN: Final = NAMES | {"reference", "div"}

# Resolves ("Patient", "identifier=..") to "Patient/1".
Resolve = Callable[[str, str], str]


class _UnresolvedError(Exception):
    """Carries the reference at fault up to where its expression is worked out, which costs time."""

    def __init__(self, reference: str, cause: ExchangeError) -> None:
        super().__init__(reference)
        self.reference = reference
        self.cause = cause


class ReferenceRewriter:
    """Rewrites the references of the resources of one Bundle."""

    __slots__ = ("_base", "_has_links", "_resolve", "_targets")

    def __init__(self, targets: Mapping[str, str], resolve: Resolve) -> None:
        """Take the identities of the Bundle's entries by fullUrl, and what resolves a condition."""
        self._targets = targets
        self._resolve = resolve
        self._base = ""
        self._has_links = False

    def rewrite(self, resource: JsonObject, full_url: str | None, expression: str) -> JsonObject:
        """Return `resource` with its references rewritten.

        Raises InvalidReferenceError for a urn:uuid or urn:oid reference that no entry has and for a
        conditional one without criteria, and what `resolve` raises, all with the expression of the
        reference below `expression`.
        References inside a Bundle resource are its own and stay.
        """
        if resource.get("resourceType") == "Bundle":
            return resource
        self._base = _base(full_url)
        self._has_links = False
        try:
            rewritten = self._object(resource)
        except _UnresolvedError as error:
            error.cause.expression = _locate(resource, error.reference, expression)
            raise error.cause from None
        # Few resources have links to others: only of those it is looked up what each element is.
        return relinked(rewritten, self._target) if self._has_links else rewritten

    def _object(self, value: JsonObject) -> JsonObject:
        copy: JsonObject | None = None
        for name, item in value.items():
            kind = type(item)
            if kind is str:
                if name not in _REWRITTEN:
                    continue
                new: Json = self._text(name, item)
            elif kind is dict:
                new = self._object(item)
            elif kind is list:
                new = self._array(item, name)
            else:
                continue
            if new is not item:
                if copy is None:
                    copy = dict(value)
                copy[name] = new
        return value if copy is None else copy

    def _array(self, value: list[Json], name: str) -> list[Json]:
        copy: list[Json] | None = None
        for position, item in enumerate(value):
            kind = type(item)
            if kind is dict:
                new: Json = self._object(item)
            else:
                self._has_links = self._has_links or (
                    kind is str and name in NAMES and self._target(item) is not None
                )
                continue
            if new is not item:
                if copy is None:
                    copy = list(value)
                copy[position] = new
        return value if copy is None else copy

    def _text(self, name: str, text: str) -> str:
        if name == "reference":
            try:
                return self._reference(text)
            except ExchangeError as error:
                raise _UnresolvedError(text, error) from error
        if name == "div":
            return _NARRATIVE_LINK.sub(self._narrative_link, text) if self._targets else text
        self._has_links = self._has_links or self._target(text) is not None
        return text

    def _reference(self, text: str) -> str:
        target = self._target(text)
        if target is not None:
            return target
        if text.startswith(("urn:uuid:", "urn:oid:")):
            raise InvalidReferenceError(f"No entry of the Bundle has the fullUrl `{text}`")
        if self._base and ":" not in text and not text.startswith("#"):
            target = self._target(self._base + text)
            if target is not None:
                return target
        if "?" in text:
            conditional = _CONDITIONAL.fullmatch(text)
            if conditional is not None:
                if not conditional.group(2):
                    raise InvalidReferenceError(f"The conditional reference `{text}` has no criteria")
                return self._resolve(conditional.group(1), conditional.group(2))
        return text

    def _target(self, text: str) -> str | None:
        target = self._targets.get(text)
        if target is None and "#" in text:
            before, _, fragment = text.partition("#")
            found = self._targets.get(before)
            if found is not None:
                return f"{found}#{fragment}"
        return target

    def _narrative_link(self, link: re.Match[str]) -> str:
        start, quote, url, fragment = link.groups()
        return f"{start}{quote}{self._targets.get(url, url)}{fragment}{quote}"


def conditional_references(resource: Json) -> list[tuple[str, str]]:
    """Return type and query of every conditional reference of `resource`, in no order."""
    found: list[tuple[str, str]] = []
    stack: list[Json] = [resource]
    while stack:
        value = stack.pop()
        if type(value) is dict:
            if value.get("resourceType") == "Bundle":
                continue
            reference = value.get("reference")
            if type(reference) is str and "?" in reference:
                conditional = _CONDITIONAL.fullmatch(reference)
                if conditional is not None and conditional.group(2):
                    found.append((conditional.group(1), conditional.group(2)))
            stack.extend([item for item in value.values() if type(item) in (dict, list)])
        else:
            stack.extend([item for item in value if type(item) in (dict, list)])
    return found


def _locate(value: Json, reference: str, expression: str) -> str | None:
    """Return the FHIRPath of the first Reference to `reference` under `value`."""
    if isinstance(value, dict):
        if value.get("reference") == reference:
            return f"{expression}.reference"
        below = [(item, f"{expression}.{name}") for name, item in value.items()]
    elif isinstance(value, list):
        below = [(item, f"{expression}[{position}]") for position, item in enumerate(value)]
    else:
        return None
    found = (_locate(item, reference, path) for item, path in below)
    return next((path for path in found if path is not None), None)


def _base(full_url: str | None) -> str:
    """Return the base that relative references of an entry start from (bundle.html#references)."""
    if not full_url or not full_url.startswith(("http://", "https://")):
        return ""
    parts = full_url.rsplit("/", 2)
    return parts[0] + "/" if len(parts) == 3 else ""  # noqa: PLR2004 - base, type, id
