"""The ASGI middleware that gives every answer the headers that browsers are kept safe by.

What a router set itself stays: pages have a policy of their own that lets their style in. Values after
https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html and, of answers that are no
pages, https://cheatsheetseries.owasp.org/cheatsheets/REST_Security_Cheat_Sheet.html#security-headers.
Answers show persons, so that no cache keeps one that does not say otherwise (RFC 9111, 5.2.2.5).
"""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
_HTTPS_ONLY: Final = (b"strict-transport-security", b"max-age=31536000")
_CONTROLS: Final = bytes([*range(9), *range(10, 32), 127])


class ResponseHeadersMiddleware:
    """Adds to what `app` answers the headers that it did not set."""

    def __init__(self, app: ASGIApp, *, is_https: bool) -> None:
        """Take whether clients reach the server by https: then they are told never to come by http."""
        self._app = app
        self._headers = (*_ALWAYS, _HTTPS_ONLY) if is_https else _ALWAYS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                # RFC 9110, 5.5: CR, LF and NUL in a value would begin another header or another answer
                given = [(name, _clean(value)) for name, value in message.get("headers", ())]
                names = {name for name, _ in given}
                given += [each for each in self._headers if each[0] not in names]
                message["headers"] = given
            await send(message)

        await self._app(scope, receive, complete)


def _clean(value: bytes) -> bytes:
    return value.translate(None, _CONTROLS)
