"""Requests to the OAuth endpoints in the form that authlib reads, with what it would stumble over refused.

Parameters come once each (https://www.rfc-editor.org/rfc/rfc6749#section-3.1, #section-3.2).
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload, OAuth2Request

FORM: Final = "application/x-www-form-urlencoded"
LARGEST_FORM: Final = 64 * 1024
_FIELDS: Final = 50


class FormRequest(OAuth2Request):  # type: ignore[misc] # authlib has no hints
    """One request: method, URL, headers and its parameters, of the query or of the form."""

    def __init__(
        self, method: str, url: str, headers: Mapping[str, str], parameters: Mapping[str, str]
    ) -> None:
        """Take the parameters, once each (`read_parameters`)."""
        super().__init__(method, url, headers=_readable(headers))
        self.payload = BasicOAuth2Payload(dict(parameters))

    @property
    def form(self) -> Mapping[str, str]:
        """The parameters."""
        parameters: Mapping[str, str] = self.payload.data
        return parameters

    @property
    def args(self) -> Mapping[str, str]:
        """The parameters."""
        return self.form


def read_parameters(text: str) -> dict[str, str]:
    """Return the parameters of a query or form; raises authlib's InvalidRequestError for one given twice.

    Parameters without a value count as not sent (RFC 6749, 3.1).
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELDS, errors="strict")
    except ValueError as error:  # too many fields, or bytes that are not UTF-8
        raise InvalidRequestError("The parameters cannot be read.") from error
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise InvalidRequestError("A parameter is given more than once.")
        if "\0" in value:
            raise InvalidRequestError("A parameter holds a sign that no text has.")
        found[name] = value
    return {name: value for name, value in found.items() if value}


def _readable(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that authlib looks at; Basic credentials that are no text are left out."""
    given = headers.get("authorization", "")
    scheme, _, credentials = given.partition(" ")
    if scheme.lower() == "basic":
        try:
            base64.b64decode(credentials.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return {}
    return {"Authorization": given} if given else {}
