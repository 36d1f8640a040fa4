"""One page: a template in the base layout, in the reader's language, with the headers of every page.

The Content-Security-Policy allows this origin and nothing inline, so a value that
escaped its quoting could still run nothing. Pages show persons: no cache keeps one.
"""

from dataclasses import dataclass
from functools import cached_property, partial
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from hie.core.access import ANONYMOUS, Requester
from hie.core.clock import Clock
from hie.portal import formats, language, roles, static_files
from hie.portal.language import Language, say, say_code

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
    "Vary": "Cookie",
}


@dataclass(frozen=True)
class Pages:
    """Renders pages; `zone` is where their times are shown."""

    clock: Clock
    zone: ZoneInfo

    @cached_property
    def templates(self) -> Environment:
        """The templates of the package; a name that a template does not know is an error."""
        environment = Environment(
            loader=PackageLoader("hie.portal"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["or_missing"] = formats.or_missing
        environment.filters["moment"] = formats.moment
        environment.globals["static"] = static_files.address
        environment.globals["query"] = query
        return environment

    def render(
        self,
        request: Request,
        template: str,
        *,
        status: int = HTTPStatus.OK,
        headers: dict[str, str] | None = None,
        **context: object,
    ) -> HTMLResponse:
        """Return the page of `template` in the request's language and role."""
        spoken = language_of(request)
        guided = roles.guidance(getattr(request.state, "requester", None), request.cookies.get(roles.COOKIE))
        now = self.clock.now().astimezone(self.zone)
        body = self.templates.get_template(template).render(
            language=spoken,
            say=partial(_say, spoken),
            say_code=lambda group, code: say_code(group, code, spoken),
            day=lambda value: formats.day(value, spoken),
            duration=lambda value: formats.duration(value, spoken),
            age=lambda birth_date: formats.age(birth_date, now.date(), spoken),
            role=guided.role,
            roles=guided.choices,
            navigation=guided.navigation,
            home=guided.home,
            is_signed_in=requester_of(request).kind == "person",
            # authentication leaves a requester with every request, nobody known included
            is_protected=hasattr(request.state, "requester"),
            path=request.url.path,
            here=_here(request),
            now=now,
            zone=self.zone.key,
            **context,
        )
        return HTMLResponse(body, status, {**HEADERS, "Content-Language": spoken.value, **(headers or {})})


def language_of(request: Request) -> Language:
    """Return the language that the reader chose."""
    return Language.of(request.cookies.get(language.COOKIE))


def requester_of(request: Request) -> Requester:
    """Return who sent `request`, as authentication left it in its state; nobody known without it."""
    requester: Requester = getattr(request.state, "requester", ANONYMOUS)
    return requester


def query(**parameters: object) -> str:
    """Return ``?name=value&...`` of those that have a value; ``?`` alone would be noise, so none gives ""."""
    given = {name: str(value) for name, value in parameters.items() if value not in {None, ""}}
    return f"?{urlencode(given)}" if given else ""


def _say(spoken: Language, key: str, **values: object) -> str:
    return say(key, spoken, **values)


def _here(request: Request) -> str:
    """Return the address to come back to after a switch; a form's own address is no page."""
    if request.method not in {"GET", "HEAD"}:
        return "/"
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")
