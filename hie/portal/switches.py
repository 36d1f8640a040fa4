"""The switches of role and language: forms that set a cookie and lead back to the page."""

from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse

from hie.portal import language, roles
from hie.portal.language import Language
from hie.portal.own_site import require_own_site
from hie.portal.roles import Role, home

_YEAR_SECONDS = 365 * 24 * 3600


def mount(router: APIRouter) -> None:
    """Add the routes of both switches."""

    @router.post("/role")
    def switch_role(request: Request, role: Annotated[Role, Form()]) -> RedirectResponse:
        return _switched(request, roles.COOKIE, role.value, home(role))

    @router.post("/language")
    def switch_language(
        request: Request,
        language_tag: Annotated[Language, Form(alias="language")],
        back: Annotated[str, Form()] = "/",
    ) -> RedirectResponse:
        return _switched(request, language.COOKIE, language_tag.value, own_path(back))


def own_path(address: str) -> str:
    """Return `address` if it is a path of this site, else the first page."""
    parts = urlsplit(address)
    is_own = not parts.scheme and not parts.netloc and address.startswith("/")
    return address if is_own and not address.startswith(("//", "/\\")) and address.isprintable() else "/"


def _switched(request: Request, cookie: str, value: str, back: str) -> RedirectResponse:
    require_own_site(request)
    response = RedirectResponse(back, HTTPStatus.SEE_OTHER)
    response.set_cookie(cookie, value, max_age=_YEAR_SECONDS, httponly=True, samesite="lax")
    return response
