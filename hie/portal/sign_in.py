"""Signing in and out: name and password, the second factor, a link that does it once."""

from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from hie.identity import sessions
from hie.identity.service import Identity
from hie.identity.sign_in import Answer
from hie.portal.page import Pages
from hie.portal.roles import guidance
from hie.portal.switches import own_path
from hie.portal.visits import SIGN_IN, Visits, note_attempt, to_sign_in

_LONGEST: Final = 1000
_Text = Annotated[str, Form(max_length=_LONGEST)]
_Address = Annotated[str, Query(max_length=8000)]
_AddressField = Annotated[str, Form(max_length=8000)]


def mount(router: APIRouter, pages: Pages, identity: Identity) -> None:
    """Add the pages to `router`."""
    visits = Visits(identity)

    def form(request: Request, answer: Answer | None, *, back: str, name: str = "") -> Response:
        token = visits.early_token(request)
        status = HTTPStatus.OK if answer is None else HTTPStatus.UNAUTHORIZED
        page = pages.render(
            request,
            "sign_in.html",
            status=status,
            form_token=token,
            back=back,
            name=name,
            answer=answer,
            providers=identity.outside.configurations,
        )
        visits.keep_early_token(page, token)
        return page

    @router.get(SIGN_IN)
    def sign_in_page(request: Request, back: _Address = "/", *, anew: bool = False) -> Response:
        if not anew and visits.visitor(request) is not None:
            return RedirectResponse(own_path(back), HTTPStatus.SEE_OTHER)
        return form(request, None, back=own_path(back))

    @router.post(SIGN_IN)
    def sign_in(
        request: Request, name: _Text, password: _Text, form_token: _Text, back: _AddressField = "/"
    ) -> Response:
        visits.check_early_form(request, form_token)
        answer = identity.sign_in.by_password(name, password)
        note_attempt(answer)
        if answer.session is None:
            return form(request, answer, back=own_path(back), name=name)
        before = identity.visitor(request.headers.get("cookie", ""))
        if before is not None:  # its cookie is about to be replaced; nobody could sign it out any more
            with identity.database.transaction() as transaction:
                sessions.end(transaction, before.secret)
        return entered(visits, answer, own_path(back))

    @router.post("/sign-out")
    def sign_out(request: Request, form_token: _Text) -> Response:
        visitor = visits.visitor(request) or visits.half_signed_in(request)
        elsewhere = ""
        if visitor is not None:
            visits.check_form(request, visitor, form_token)
            with identity.database.transaction() as transaction:
                sessions.end(transaction, visitor.secret)
            back = f"{identity.terms.issuer}{SIGN_IN}"
            elsewhere = identity.outside.sign_out_address(visitor.session.provider, back)
        response: Response = RedirectResponse(SIGN_IN, HTTPStatus.SEE_OTHER)
        if elsewhere:
            response = pages.render(request, "signed_out.html", address=elsewhere)
        visits.leave(response)
        return response

    _mount_second_factor(router, pages, identity, visits)
    _mount_link(router, pages, identity, visits)


def _mount_second_factor(router: APIRouter, pages: Pages, identity: Identity, visits: Visits) -> None:
    @router.get(SIGN_IN + "/code")
    def code_page(request: Request, back: _Address = "/") -> Response:
        visitor = visits.half_signed_in(request)
        if visitor is None:
            return to_sign_in(back)
        token = visitor.session.form_token
        return pages.render(request, "sign_in_code.html", form_token=token, back=own_path(back), answer=None)

    @router.post(SIGN_IN + "/code")
    def code(request: Request, code: _Text, form_token: _Text, back: _AddressField = "/") -> Response:
        visitor = visits.half_signed_in(request)
        if visitor is None:
            return to_sign_in(back)
        visits.check_form(request, visitor, form_token)
        answer = identity.sign_in.by_code(visitor.session, code)
        note_attempt(answer)
        if answer.session is not None:
            return entered(visits, answer, own_path(back))
        return pages.render(
            request,
            "sign_in_code.html",
            status=HTTPStatus.UNAUTHORIZED,
            form_token=form_token,
            back=own_path(back),
            answer=answer,
        )


def _mount_link(router: APIRouter, pages: Pages, identity: Identity, visits: Visits) -> None:
    # A GET changes nothing: what looks at links before people do would use them up.
    @router.get(SIGN_IN + "/link")
    def link_page(request: Request, key: _Address) -> HTMLResponse:
        token = visits.early_token(request)
        page = pages.render(request, "sign_in_link.html", form_token=token, key=key, answer=None)
        visits.keep_early_token(page, token)
        return page

    @router.post(SIGN_IN + "/link")
    def link(request: Request, key: _Text, form_token: _Text) -> Response:
        visits.check_early_form(request, form_token)
        answer = identity.sign_in.by_link(key)
        note_attempt(answer)
        if answer.session is not None:
            return entered(visits, answer, "/")
        return pages.render(
            request,
            "sign_in_link.html",
            status=HTTPStatus.UNAUTHORIZED,
            form_token=form_token,
            key="",
            answer=answer,
        )


def entered(visits: Visits, answer: Answer, back: str) -> Response:
    """Lead to the page, or first to the second factor, with the session's cookie."""
    if answer.outcome != "complete":
        address = f"{SIGN_IN}/code?back={quote(back, safe='/')}"
    elif answer.person is not None and back == "/":
        address = guidance(answer.person.requester(session=""), None).home
    else:
        address = back
    response = RedirectResponse(address, HTTPStatus.SEE_OTHER)
    if answer.session is not None:
        visits.enter(response, answer.session)
    return response
