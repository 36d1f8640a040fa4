"""Sessions on the portal's side: the cookie, the token of every form, who may open a page.

A form is taken only from a page of this site (`hie.portal.own_site`) and with the token of the session that
the page was made in; before anybody is signed in, with the token of a cookie (double submit,
https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html).
"""

import hmac
from datetime import datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from hie.core.audit.record import Action, Record
from hie.core.audit.trail import current
from hie.core.db.database import Transaction
from hie.core.errors import ForbiddenError
from hie.core.security_errors import UnauthenticatedError
from hie.identity.authenticator import cookie_name
from hie.identity.secrets import new_secret
from hie.identity.service import Identity, Visitor
from hie.identity.sessions import NewSession, is_form_of
from hie.identity.sign_in import Answer
from hie.portal.own_site import require_own_site
from hie.portal.switches import own_path

SIGN_IN: Final = "/sign-in"
_FORM_COOKIE: Final = "form"


class Visits:
    """What pages ask about who is looking at them."""

    def __init__(self, identity: Identity) -> None:
        """Take what knows the sessions."""
        self._identity = identity
        self._is_https = identity.terms.issuer.startswith("https://")

    def visitor(self, request: Request) -> Visitor | None:
        """Return who is signed in, with the second factor where there is one; None where nobody is."""
        found = self._identity.visitor(request.headers.get("cookie", ""))
        return found if found is not None and found.session.is_complete else None

    def half_signed_in(self, request: Request) -> Visitor | None:
        """Return who gave a password and has not yet given the second factor."""
        found = self._identity.visitor(request.headers.get("cookie", ""))
        return found if found is not None and not found.session.is_complete else None

    def require(self, request: Request, form_token: str | None = None) -> Visitor:
        """Return who is signed in; with a `form_token`, who sent a form of this session.

        Raises UnauthenticatedError where nobody is, ForbiddenError for a form of somebody else.
        """
        found = self.visitor(request)
        if found is None:
            raise UnauthenticatedError("The page needs a session; sign in first")
        if form_token is not None:
            self.check_form(request, found, form_token)
        return found

    def check_form(self, request: Request, visitor: Visitor, form_token: str) -> None:
        """Raise ForbiddenError unless the form came from a page of this session."""
        require_own_site(request)
        if not is_form_of(visitor.session, form_token):
            raise ForbiddenError("The form is not of this session; load the page again")

    def early_token(self, request: Request) -> str:
        """Return the token for a form before anybody is signed in; `keep_early_token` must go with it."""
        return request.cookies.get(self._early_name) or new_secret()

    def keep_early_token(self, response: Response, token: str) -> None:
        """Let the browser keep the token of `early_token`."""
        response.set_cookie(
            self._early_name, token, httponly=True, secure=self._is_https, samesite="lax", path="/"
        )

    def check_early_form(self, request: Request, form_token: str) -> None:
        """Raise ForbiddenError unless the form came from a page that this browser was shown."""
        require_own_site(request)
        kept = request.cookies.get(self._early_name, "")
        if not kept or not hmac.compare_digest(kept.encode(), form_token.encode("utf-8", "surrogatepass")):
            raise ForbiddenError("The form is not of this browser; load the page again")

    def enter(self, response: Response, begun: NewSession) -> None:
        """Give the browser the cookie of a session."""
        response.set_cookie(
            cookie_name(self._identity.terms),
            begun.secret,
            httponly=True,
            secure=self._is_https,
            samesite="lax",
            path="/",
        )

    def leave(self, response: Response) -> None:
        """Take the cookie of the session away."""
        response.delete_cookie(
            cookie_name(self._identity.terms), httponly=True, secure=self._is_https, samesite="lax", path="/"
        )

    @property
    def _early_name(self) -> str:
        return f"__Host-{_FORM_COOKIE}" if self._is_https else _FORM_COOKIE


def note_attempt(answer: Answer) -> None:
    """Let the audit trail say whose account an attempt to sign in was about, and what came of it."""
    trail = current()
    if trail is not None:
        account = str(answer.person.account.id) if answer.person is not None else "unknown"
        trail.note(account=account, reason=answer.outcome)


def record_change(
    transaction: Transaction, visitor: Visitor, interaction: str, action: Action, now: datetime, **detail: str
) -> None:
    """Add what `visitor` changed to the audit trail, with the change; `detail` has no name and no secret."""
    requester = visitor.person.requester(session=str(visitor.session.id))
    transaction.record(Record("page", interaction, action, requester, now, detail=detail))


def to_sign_in(back: str, *, is_anew: bool = False) -> RedirectResponse:
    """Lead to the sign-in page, and from there to `back`; with `is_anew` also who is signed in already."""
    anew = "anew=1&" if is_anew else ""
    return RedirectResponse(f"{SIGN_IN}?{anew}back={quote(own_path(back), safe='/')}", HTTPStatus.SEE_OTHER)
