"""Signing in by a provider outside, and linking one's account to it.

The way out and back are links, no forms: a page's Content-Security-Policy lets forms go nowhere else.
"""

from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from hie.core.errors import ForbiddenError, NotFoundError, UnavailableError
from hie.core.security_errors import AccountError, OutsideIdentityError
from hie.identity import sessions
from hie.identity.outside import bindings
from hie.identity.outside.entry import Arrival
from hie.identity.service import Identity
from hie.identity.sign_in import Answer
from hie.portal.former_identities import VersionedStore
from hie.portal.outside_patients import StoredPatients
from hie.portal.own_site import require_own_site
from hie.portal.page import Pages
from hie.portal.sign_in import entered
from hie.portal.switches import own_path
from hie.portal.visits import SIGN_IN, Visits, note_attempt, record_change

PATH: Final = f"{SIGN_IN}/with"
_ACCOUNT: Final = "/account"
_COOKIE: Final = "outside"
_SECONDS: Final = 1800  # as long as a code of `bindings`
_Text = Annotated[str, Form(max_length=1000)]
_Address = Annotated[str, Query(max_length=8000)]
_Answer = Annotated[str, Query(max_length=4000)]


def mount(router: APIRouter, pages: Pages, identity: Identity, store: VersionedStore) -> None:
    """Add the pages to `router`."""
    ways = _Ways(pages, identity)
    _mount_sign_in(router, ways, StoredPatients(store))
    _mount_links(router, ways)


class _Ways:
    """What all pages here do."""

    def __init__(self, pages: Pages, identity: Identity) -> None:
        self.identity = identity
        self.visits = Visits(identity)
        self._pages = pages

    def lead(self, request: Request, name: str, *, back: str, account_id: UUID | None = None) -> Response:
        """Lead the browser to the provider, with the cookie by which it is known when it is back."""
        try:
            begun = self.identity.outside.begin(name, back=back, account_id=account_id)
        except UnavailableError:
            return self.fault(request, "entry.unavailable", HTTPStatus.SERVICE_UNAVAILABLE)
        response = RedirectResponse(begun.address, HTTPStatus.SEE_OTHER, {"Cache-Control": "no-store"})
        response.set_cookie(
            _COOKIE,
            begun.browser,
            _SECONDS,
            httponly=True,
            secure=self.identity.terms.issuer.startswith("https://"),
            samesite="lax",
            path=PATH,
        )
        return response

    def fault(self, request: Request, text: str, status: int = HTTPStatus.FORBIDDEN) -> Response:
        """Say what went wrong, in words that tell an attacker nothing."""
        return self.page(request, fault=text, status=status)

    def page(
        self,
        request: Request,
        *,
        arrival: Arrival | None = None,
        fault: str = "",
        status: int = HTTPStatus.OK,
    ) -> Response:
        """Show who is not known yet how to be linked, or what went wrong."""
        token = self.visits.early_token(request)
        page = self._pages.render(
            request, "outside.html", status=status, arrival=arrival, fault=fault, form_token=token
        )
        self.visits.keep_early_token(page, token)
        return page

    def let_in(self, request: Request, answer: Answer, back: str) -> Response | None:
        """Let somebody in, whose earlier session ends; None where the answer has no session."""
        note_attempt(answer)
        if answer.session is None:
            return None
        before = self.identity.visitor(request.headers.get("cookie", ""))
        if before is not None:  # nobody could sign it out any more
            with self.identity.database.transaction() as transaction:
                sessions.end(transaction, before.secret)
        return entered(self.visits, answer, back)

    def note_link(self, request: Request, provider: str) -> None:
        """Let the audit trail say that who is signed in linked the account."""
        visitor = self.visits.visitor(request)
        if visitor is not None:
            now = self.identity.clock.now()
            with self.identity.database.transaction() as transaction:
                record_change(transaction, visitor, "link-identity", "C", now, provider=provider)


def _mount_sign_in(router: APIRouter, ways: _Ways, patients: StoredPatients) -> None:
    outside = ways.identity.outside

    @router.get(PATH + "/{name}")
    def begin(request: Request, name: str, back: _Address = "/") -> Response:
        return ways.lead(request, name, back=own_path(back))

    @router.get(PATH + "/{name}/callback")
    def come_back(
        request: Request,
        name: str,
        state: _Answer = "",
        code: _Answer = "",
        iss: _Answer | None = None,
        error: _Answer = "",
    ) -> Response:
        answer = {"state": state, "code": code, "error": error} | ({} if iss is None else {"iss": iss})
        try:
            arrival = outside.arrive(name, answer, request.cookies.get(_COOKIE, ""), patients)
        except OutsideIdentityError:
            return ways.fault(request, "entry.refused")
        except AccountError:
            return ways.fault(request, "entry.linked-elsewhere")
        except UnavailableError:
            return ways.fault(request, "entry.unavailable", HTTPStatus.SERVICE_UNAVAILABLE)
        if arrival.outcome == "linked":
            ways.note_link(request, name)
            return RedirectResponse(arrival.back, HTTPStatus.SEE_OTHER)
        if arrival.answer is None:
            return ways.page(request, arrival=arrival)
        return ways.let_in(request, arrival.answer, arrival.back) or ways.fault(request, "entry.refused")

    @router.post(PATH + "/number")
    def prove(request: Request, code: _Text, number: _Text, form_token: _Text) -> Response:
        ways.visits.check_early_form(request, form_token)
        try:
            answer = outside.prove(code, number, request.cookies.get(_COOKIE, ""), patients)
        except (OutsideIdentityError, AccountError):
            return ways.fault(request, "entry.number-refused")
        return ways.let_in(request, answer, "/") or ways.fault(request, "entry.number-refused")


def _mount_links(router: APIRouter, ways: _Ways) -> None:
    identity = ways.identity

    @router.get(_ACCOUNT + "/outside/{name}")
    def link(request: Request, name: str) -> Response:
        visitor = ways.visits.require(request)
        require_own_site(request)
        if "mfa" not in visitor.session.methods:
            raise ForbiddenError("Linking needs a session that was begun with the second factor")
        configuration = identity.outside.configurations.get(name)
        if configuration is None or configuration.persons != "citizens":
            raise NotFoundError(f"There is no provider `{name[:32]}` to link")
        return ways.lead(request, name, back=_ACCOUNT, account_id=visitor.person.account.id)

    @router.post(_ACCOUNT + "/outside/unlink")
    def unlink(request: Request, provider: _Text, subject: _Text, form_token: _Text) -> Response:
        visitor = ways.visits.require(request, form_token)
        now = identity.clock.now()
        with identity.database.transaction() as transaction:
            if bindings.unbind(transaction, visitor.person.account.id, provider, subject):
                record_change(transaction, visitor, "unlink-identity", "D", now, provider=provider)
        return RedirectResponse(_ACCOUNT, HTTPStatus.SEE_OTHER)
