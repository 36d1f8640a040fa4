"""Media types of FHIR: the format of a body, and the one that a client would rather have.

https://hl7.org/fhir/R4/http.html#mime-type, #parameters; Accept: RFC 9110, 12.5.1. JSON and XML are
written and read; Turtle is not. HTML is answered with indented JSON, so that a person who follows a link
in a browser sees the resource.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final, Literal, NamedTuple, cast

from starlette.requests import Request

from hie.core.errors import NotAcceptableError, UnsupportedMediaTypeError

Format = Literal["json", "xml"]

CONTENT_TYPES: Final[Mapping[Format, str]] = {
    "json": "application/fhir+json; charset=utf-8",
    "xml": "application/fhir+xml; charset=utf-8",
}
FORM: Final = "application/x-www-form-urlencoded"

# The names that `_format` may have besides media types; those of DSTU2 as old clients send them.
_NAMES: Final[Mapping[str, str]] = {
    "application/fhir+json": "json",
    "application/json": "json",
    "application/json+fhir": "json",
    "text/json": "json",
    "json": "json",
    "application/fhir+xml": "xml",
    "application/xml": "xml",
    "application/xml+fhir": "xml",
    "text/xml": "xml",
    "xml": "xml",
    "text/html": "html",
    "application/xhtml+xml": "html",
    "html": "html",
}
# https://hl7.org/fhir/R4/versioning.html#mt-version
_VERSIONS: Final = frozenset({"4.0", "4.0.1"})
# How much a media range says of a media type; less for `type/*` and nothing for `*/*`.
_EXACT: Final = 2
# Where a request's answer to `wanted` is kept.
_SCOPE_KEY: Final = "hie.wanted"
_FIRST_LINE: Final = 80
# The escape of a letter or `_`, which nobody needs and which may hide a parameter's name.
_HIDDEN: Final = re.compile(rb"%(?:[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff])")


class Wanted(NamedTuple):
    """How an answer is to look."""

    format: Format
    is_pretty: bool


class _Range(NamedTuple):
    """One media range of an Accept header; `quality` from 0 to 1."""

    name: str
    quality: float
    is_other_version: bool


def wanted(request: Request) -> Wanted:
    """Return the format that `request` asks for; `_format` goes before Accept, JSON is the default.

    Raises NotAcceptableError if it can be neither JSON nor XML of R4.
    """
    found: Wanted | None = request.scope.get(_SCOPE_KEY)
    if found is None:
        found = request.scope[_SCOPE_KEY] = _wanted(request)
    return found


def parameter(request: Request, name: str) -> str | None:
    """Return the parameter `name` of the URL, or of the form that was posted (`remember_form`)."""
    query = request.scope["query_string"]
    # Most requests have no such parameter, and looking costs less than making a mapping.
    if query and (name.encode() in query or _HIDDEN.search(query)):
        given = request.query_params.get(name)
        if given is not None:
            return given
    form = getattr(request.state, "form", None)
    return None if form is None else cast("Mapping[str, str]", form).get(name)


def remember_form(request: Request, parameters: Mapping[str, str]) -> None:
    """Let the parameters of a posted form say how its answer looks."""
    request.state.form = parameters
    request.scope.pop(_SCOPE_KEY, None)


@lru_cache(maxsize=512)
def accepted(accept: str) -> str | None:
    """Return "json", "xml" or "html", whichever the Accept header would rather have; None for none of them.

    The higher quality wins, then the more specific range, then the one that stands first.
    """
    ranges = list(_ranges(accept))
    best: tuple[tuple[float, int, int], str] | None = None
    for name, format_name in _NAMES.items():
        if "/" not in name:
            continue
        found = _quality(name, ranges)
        if found is not None and found[0] > 0 and (best is None or found > best[0]):
            best = (found, format_name)
    return best[1] if best else None


@lru_cache(maxsize=512)
def body_format(content_type: str) -> Format:
    """Return the format of a body by its content type; raises UnsupportedMediaTypeError."""
    media_type, parameters = split(content_type)
    found = _NAMES.get(media_type) if "/" in media_type else None
    if found not in ("json", "xml"):
        raise UnsupportedMediaTypeError(
            f"The content type `{content_type[:_FIRST_LINE]}` is not supported; application/fhir+json and"
            " application/fhir+xml are"
        )
    check_charset(parameters)
    version = parameters.get("fhirversion", "4.0")
    if version not in _VERSIONS:
        raise UnsupportedMediaTypeError(f"FHIR {version[:_FIRST_LINE]} is not supported; 4.0 is")
    return cast("Format", found)


def check_charset(parameters: Mapping[str, str]) -> None:
    """Raise UnsupportedMediaTypeError if the parameters of a content type name another charset than UTF-8."""
    charset = parameters.get("charset", "utf-8")
    if charset.lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaTypeError(f"The charset `{charset[:_FIRST_LINE]}` is not supported; utf-8 is")


def split(content_type: str) -> tuple[str, dict[str, str]]:
    """Return the media type in lower case, and its parameters by name in lower case, unquoted."""
    media_type, *parts = content_type.split(";")
    parameters = {}
    for part in parts:
        name, _, value = part.partition("=")
        parameters[name.strip().lower()] = value.strip().strip('"')
    return media_type.strip().lower(), parameters


def wants_content(request: Request, media_type: str) -> bool:
    """Return whether `request` is answered with content of `media_type` and not the FHIR that holds it.

    https://hl7.org/fhir/R4/binary.html#rest: "unless specifically requested, the FHIR XML/JSON representation
    is not returned". So content it is without an Accept header, and if all that it names is anything
    (``*/*``); if it names that type and no type of FHIR as high; or if it takes the type by a range and names
    no format of FHIR at all, or names HTML too, as browsers do.
    """
    accept = b",".join([value for key, value in request.scope["headers"] if key == b"accept"])
    ranges = [one for one in _ranges(accept.decode("latin-1")) if one.name]
    if not ranges:
        return True
    own = _quality(media_type, ranges)
    if own is None or own[0] <= 0:
        return False
    named = {one.name: one.quality for one in ranges}
    fhir = max((quality for name, quality in named.items() if "fhir" in name), default=0.0)
    if own[1] == _EXACT:
        return own[0] > fhir
    is_browser = "text/html" in named
    return fhir <= 0 and (is_browser or not any(name in _NAMES for name in named))


def _wanted(request: Request) -> Wanted:
    given = parameter(request, "_format")
    if given:
        found = _named(given)
        if found is None:
            raise NotAcceptableError(
                f"The format `{given[:_FIRST_LINE]}` is not supported; json and xml of FHIR 4.0 are",
                expression="_format",
            )
    else:
        # The raw headers: Starlette's mapping decodes all of them.
        accept = b",".join([value for key, value in request.scope["headers"] if key == b"accept"]).decode(
            "latin-1"
        )
        found = accepted(accept) if accept else "json"
        if found is None:
            raise NotAcceptableError(
                f"None of `{accept[:_FIRST_LINE]}` is supported; application/fhir+json and"
                " application/fhir+xml of FHIR 4.0 are"
            )
    is_pretty = found == "html" or parameter(request, "_pretty") == "true"
    return Wanted("xml" if found == "xml" else "json", is_pretty)


def _named(given: str) -> str | None:
    media_type, parameters = split(given)
    if parameters.get("fhirversion", "4.0") not in _VERSIONS:
        return None
    return _NAMES.get(media_type.replace(" ", "+"))  # a `+` that was not percent-encoded arrives as a space


def _ranges(accept: str) -> Iterator[_Range]:
    for part in accept.split(","):
        name, parameters = split(part)
        try:
            quality = float(parameters.get("q", "1"))
        except ValueError:
            quality = 0.0
        yield _Range(name, quality, parameters.get("fhirversion", "4.0") not in _VERSIONS)


def _quality(media_type: str, ranges: list[_Range]) -> tuple[float, int, int] | None:
    """Return (quality, specificity, minus place) of the range that says most of `media_type`."""
    main = media_type.partition("/")[0]
    found: tuple[float, int, int] | None = None
    for place, one in enumerate(ranges):
        if one.is_other_version:
            continue
        specificity = {media_type: _EXACT, f"{main}/*": 1, "*/*": 0, "*": 0}.get(one.name)
        if specificity is not None and (found is None or specificity > found[1]):
            found = (one.quality, specificity, -place)
    return found
