"""One's own account: password, second factor, what applications were granted; and signing out."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from hie.core.errors import RequestError
from hie.core.security_errors import PasswordError
from hie.identity import granted, second_factor
from hie.identity.outside import bindings
from hie.identity.service import Identity, Visitor
from hie.portal.page import Pages
from hie.portal.visits import Visits, record_change

PATH: Final = "/account"
_Text = Annotated[str, Form(max_length=1000)]


def mount(router: APIRouter, pages: Pages, identity: Identity) -> None:
    """Add the pages to `router`."""
    visits = Visits(identity)

    def page(request: Request, visitor: Visitor, *, fault: str = "", codes: Sequence[str] = ()) -> Response:
        with identity.database.transaction() as transaction:
            grants = granted.grants_of(transaction, visitor.person.account.id, identity.clock.now())
            links = bindings.of_account(transaction, visitor.person.account.id)
        uri = second_factor.pending_set_up(visitor.person.account, wrapper=identity.wrapper)
        return pages.render(
            request,
            "account.html",
            status=HTTPStatus.UNPROCESSABLE_ENTITY if fault else HTTPStatus.OK,
            visitor=visitor,
            form_token=visitor.session.form_token,
            grants=grants,
            links=links,
            providers=identity.outside.configurations,
            uri=uri,
            picture=second_factor.picture(uri) if uri else "",
            has_second_factor=second_factor.is_set_up(visitor.person.account),
            codes=codes,
            fault=fault,
        )

    @router.get(PATH)
    def account(request: Request) -> Response:
        return page(request, visits.require(request))

    @router.post(PATH + "/password")
    def change_password(request: Request, old: _Text, new: _Text, form_token: _Text) -> Response:
        visitor = visits.require(request, form_token)
        try:
            answer = identity.sign_in.change_password(
                visitor.person.account.id, old, new, identity.password_rule
            )
        except PasswordError:
            return page(request, visitor, fault="account.password-weak")
        if answer.session is None:
            return page(request, visitor, fault="account.password-wrong")
        response = RedirectResponse(PATH, HTTPStatus.SEE_OTHER)
        visits.enter(response, answer.session)
        return response

    @router.post(PATH + "/second-factor")
    def begin_second_factor(request: Request, form_token: _Text) -> Response:
        visitor = visits.require(request, form_token)
        with identity.database.transaction() as transaction:
            second_factor.begin_set_up(transaction, visitor.person.account.id, wrapper=identity.wrapper)
        return RedirectResponse(PATH, HTTPStatus.SEE_OTHER)

    @router.post(PATH + "/second-factor/confirm")
    def confirm_second_factor(request: Request, code: _Text, form_token: _Text) -> Response:
        visitor = visits.require(request, form_token)
        with identity.database.transaction() as transaction:
            codes = second_factor.confirm(
                transaction,
                visitor.person.account.id,
                "".join(code.split()),
                wrapper=identity.wrapper,
                now=identity.clock.now(),
            )
        if codes is None:
            return page(request, visitor, fault="account.code-wrong")
        return page(request, visits.visitor(request) or visitor, codes=codes)

    @router.post(PATH + "/revoke")
    def revoke(request: Request, grant: _Text, form_token: _Text) -> Response:
        visitor = visits.require(request, form_token)
        with identity.database.transaction() as transaction:
            granted.revoke_own(
                transaction,
                visitor.person.account.id,
                _uuid(grant),
                now=identity.clock.now(),
                token_life=identity.terms.longest_token,
            )
            record_change(transaction, visitor, "grant", "D", identity.clock.now(), grant=grant)
        return RedirectResponse(PATH, HTTPStatus.SEE_OTHER)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise RequestError("That is no grant") from error
