"""A search by POST as an entry of a Bundle: ``POST Patient/_search?name=x``.

https://hl7.org/fhir/R4/http.html#search, #transaction. It is the search by GET with the same parameters. They
stand in the URL; a form is no resource, so one that is sent along comes as a Binary of its content type, as
a JSON Patch does (https://hl7.org/fhir/R4/http.html#patch).
"""

from base64 import b64decode
from typing import Final

from hie.core.errors import RequestError
from hie.core.fhir.json import Json

_FORM: Final = "application/x-www-form-urlencoded"
_SEARCH: Final = "_search"


def is_search(url: str) -> bool:
    """Say whether a POST to the relative `url` is a search."""
    return url.partition("?")[0].rpartition("/")[2] == _SEARCH


def search_url(url: str, resource: Json, *, expression: str) -> str:
    """Return the relative URL of the search by GET that says the same.

    `resource` is the entry's, None for none; raises RequestError with `expression` for one that is no form.
    """
    path, _, query = url.partition("?")
    parts = [query] if query else []
    if resource is not None:
        form = _form(resource, expression)
        parts += [form] if form else []
    return f"{path.removesuffix(_SEARCH).rstrip('/')}?{'&'.join(parts)}"


def _form(resource: Json, expression: str) -> str:
    found = resource if isinstance(resource, dict) else {}
    if found.get("resourceType") != "Binary" or str(found.get("contentType")).partition(";")[0] != _FORM:
        raise RequestError(
            f"A search by POST has its parameters in the URL, or in a Binary of {_FORM}",
            expression=expression,
        )
    try:
        return b64decode("".join(found.get("data", "").split()), validate=True).decode()
    except (AttributeError, ValueError) as error:
        raise RequestError("The form is not base64 of UTF-8", expression=f"{expression}.data") from error
