"""What a request says about form: the format of its body and of the answer, and its preferences.

https://hl7.org/fhir/R4/http.html#mime-type, #parameters, #ops. JSON and XML are read and written, alone or
in gzip or zstd; whatever comes in, the interactions work on JSON.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, cast
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from hie.core.errors import PayloadTooLargeError, RequestError, UnsupportedMediaTypeError
from hie.core.fhir.json import dumps
from hie.core.fhir.xml_read import from_xml
from hie.core.web.content_coding import check_coding, decoded
from hie.core.web.media_types import (
    CONTENT_TYPES,
    FORM,
    body_format,
    check_charset,
    remember_form,
    split,
    wanted,
)

FHIR_JSON: Final = CONTENT_TYPES["json"]

Return = Literal["minimal", "representation", "OperationOutcome"]
PatchKind = Literal["json-patch", "merge-patch", "json", "fhirpath"]

_RETURNS: Final = frozenset({"minimal", "representation", "OperationOutcome"})
_JSON_PATCH: Final = "application/json-patch+json"
_MERGE_PATCH: Final = "application/merge-patch+json"
# A page's query string is far below; a client with more values sends a POST.
_MOST_PARAMETERS: Final = 1_000
# Reading more than this as XML, or without its coding, takes milliseconds that belong to other requests.
_LARGE_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Preferences:
    """What ``Prefer`` asks for; `returns` and `handling` are None where nothing is said.

    RFC 7240; https://hl7.org/fhir/R4/http.html#ops, search.html#errors, async.html.
    """

    returns: Return | None = None
    handling: Literal["strict", "lenient"] | None = None
    responds_async: bool = False


_NONE: Final = Preferences()


def check_format(request: Request) -> None:
    """Raise NotAcceptableError unless the answer may be JSON or XML; `_format` goes before Accept."""
    wanted(request)


def preferences(request: Request) -> Preferences:
    """Return the preferences of `request`."""
    headers = request.headers.getlist("prefer")
    return read_preferences(",".join(headers)) if headers else _NONE


@lru_cache(maxsize=256)
def read_preferences(header: str) -> Preferences:
    """Return the preferences in a Prefer header, several joined by commas; the first of a kind counts."""
    returns: Return | None = None
    handling: Literal["strict", "lenient"] | None = None
    responds_async = False
    for name, value in _tokens(header):
        if name == "return" and value in _RETURNS and returns is None:
            returns = cast("Return", value)
        elif name == "handling" and value in ("strict", "lenient") and handling is None:
            handling = cast("Literal['strict', 'lenient']", value)
        elif name == "respond-async":
            responds_async = True
    return Preferences(returns, handling, responds_async)


def preferred_return(request: Request) -> Return:
    """Return what ``Prefer: return=`` asks for; the representation unless told."""
    return preferences(request).returns or "representation"


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """Return the resource in the body of `request` as JSON text, whatever format and coding it came in.

    JSON is not parsed here. Raises UnsupportedMediaTypeError, MalformedXMLError, and PayloadTooLargeError as
    soon as the body is past `limit_bytes`, with or without its coding.
    """
    form = body_format(request.headers.get("content-type", ""))
    text = await read_bytes(request, limit_bytes)
    if form == "json":
        return text
    if len(text) > _LARGE_BYTES:
        return await run_in_threadpool(_as_json, text)
    return _as_json(text)


async def read_patch_body(request: Request, limit_bytes: int) -> tuple[PatchKind, bytes]:
    """Return the patch in the body of `request`: its kind, and its JSON text.

    A FHIRPath Patch is a Parameters resource in JSON or XML (https://hl7.org/fhir/R4/fhirpatch.html); JSON
    Patch and JSON Merge Patch have content types of their own. What is sent as application/json is a FHIRPath
    Patch or a merge patch, as its content says. Raises what `read_body` raises.
    """
    media_type, parameters = split(request.headers.get("content-type", ""))
    if media_type in (_JSON_PATCH, _MERGE_PATCH):
        check_charset(parameters)
        kind: PatchKind = "json-patch" if media_type == _JSON_PATCH else "merge-patch"
        return kind, await read_bytes(request, limit_bytes)
    if media_type == "application/json":
        return "json", await read_body(request, limit_bytes)
    if media_type == "application/xml-patch+xml":
        raise UnsupportedMediaTypeError(
            f"XML Patch is not supported; {_JSON_PATCH} is, and Parameters of FHIRPath Patch"
        )
    return "fhirpath", await read_body(request, limit_bytes)


async def read_form(request: Request, limit_bytes: int) -> list[tuple[str, str]]:
    """Return names and values of the form in the body of a search by POST, in order.

    `_format` and `_pretty` in it count for the answer as if they stood in the URL. Raises
    UnsupportedMediaTypeError for a body that is no form, RequestError, PayloadTooLargeError.
    """
    text = await read_bytes(request, limit_bytes)
    if not text:
        return []
    media_type, parameters = split(request.headers.get("content-type", ""))
    if media_type != FORM:
        raise UnsupportedMediaTypeError(f"A search by POST is sent as {FORM}")
    check_charset(parameters)
    try:
        found = read_parameters(text.decode())
    except UnicodeDecodeError as error:
        raise RequestError("The search parameters are not UTF-8") from error
    remember_form(request, dict(found))
    return found


def read_parameters(query: str) -> list[tuple[str, str]]:
    """Return the names and values of a query string, in order; raises RequestError for too many."""
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS)
    except UnicodeDecodeError as error:
        raise RequestError("The search parameters are not UTF-8") from error
    except ValueError as error:
        raise RequestError(f"A search has at most {_MOST_PARAMETERS} parameters") from error


async def read_bytes(request: Request, limit_bytes: int) -> bytes:
    """Return the body of `request` without its content coding, of whatever content type.

    Raises PayloadTooLargeError as soon as it is past `limit_bytes`, with or without its coding.
    """
    coding = check_coding(request.headers.get("content-encoding", ""))
    declared = request.headers.get("content-length")
    if declared is not None and not declared.isascii():
        raise RequestError("Content-Length is not a number")
    if declared is not None and declared.isdigit() and int(declared) > limit_bytes:
        raise _too_large(limit_bytes)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit_bytes:
            raise _too_large(limit_bytes)
        chunks.append(chunk)
    body = b"".join(chunks)
    if coding is None:
        return body
    if size > _LARGE_BYTES:
        return await run_in_threadpool(decoded, body, coding, limit_bytes)
    return decoded(body, coding, limit_bytes)


def _tokens(header: str) -> Iterator[tuple[str, str]]:
    """Yield names and values; clients separate them by semicolons too, where RFC 7240 has commas."""
    for part in header.replace(";", ",").split(","):
        name, _, value = part.partition("=")
        yield name.strip().lower(), value.strip().strip('"')


def _as_json(text: bytes) -> bytes:
    return dumps(from_xml(text))


def _too_large(limit_bytes: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(f"The body is larger than {limit_bytes} bytes")
