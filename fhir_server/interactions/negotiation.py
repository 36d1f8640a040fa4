"""What a request says about form: its content type, the format of the answer, its preferences.

https://hl7.org/fhir/R4/http.html#mime-type, #parameters, #ops. JSON is the only format.
"""

from typing import Literal, cast

from fastapi import Request

from hie.core.errors import (
    NotAcceptableError,
    PayloadTooLargeError,
    RequestError,
    UnsupportedMediaTypeError,
)

FHIR_JSON = "application/fhir+json; charset=utf-8"

_JSON_TYPES = frozenset({"application/fhir+json", "application/json", "text/json", "application/json+fhir"})
_FORMATS = _JSON_TYPES | {"json"}
_WILDCARDS = frozenset({"*/*", "application/*"})

Return = Literal["minimal", "representation", "OperationOutcome"]


def check_format(request: Request) -> None:
    """Raise NotAcceptableError unless the answer may be JSON; `_format` goes before Accept."""
    wanted = request.query_params.get("_format")
    if wanted is not None:
        # A `+` that was not percent-encoded arrives as a space.
        if wanted.partition(";")[0].strip().replace(" ", "+") not in _FORMATS:
            raise NotAcceptableError(f"The format `{wanted}` is not supported; JSON is", expression="_format")
        return
    accept = request.headers.get("accept")
    if not accept:
        return
    for part in accept.split(","):
        media_type, _, parameters = part.partition(";")
        name = media_type.strip().lower()
        if (name in _JSON_TYPES or name in _WILDCARDS) and parameters.replace(" ", "") != "q=0":
            return
    raise NotAcceptableError(f"None of `{accept}` is supported; application/fhir+json is")


def is_pretty(request: Request) -> bool:
    """Say whether `_pretty` asks for indented JSON."""
    return request.query_params.get("_pretty", "false") == "true"


def preferred_return(request: Request) -> Return:
    """Return what ``Prefer: return=`` asks for; the representation unless told."""
    for header in request.headers.getlist("prefer"):
        for part in header.replace(";", ",").split(","):
            name, _, value = part.strip().partition("=")
            if name == "return" and value in ("minimal", "representation", "OperationOutcome"):
                return cast("Return", value)
    return "representation"


def check_content_type(request: Request) -> None:
    """Raise UnsupportedMediaTypeError unless the body is plain JSON in UTF-8."""
    given = request.headers.get("content-type", "")
    media_type, _, parameters = given.partition(";")
    if media_type.strip().lower() not in _JSON_TYPES:
        raise UnsupportedMediaTypeError(
            f"The content type `{given}` is not supported; application/fhir+json is"
        )
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "charset" and value.strip('"').lower() not in ("utf-8", "utf8"):
            raise UnsupportedMediaTypeError(f"The charset `{value}` is not supported; utf-8 is")
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise UnsupportedMediaTypeError(f"The content encoding `{encoding}` is not supported")


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """Return the body of `request`; raises PayloadTooLargeError as soon as it is past `limit_bytes`."""
    check_content_type(request)
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
    return b"".join(chunks)


def _too_large(limit_bytes: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(f"The body is larger than {limit_bytes} bytes")
