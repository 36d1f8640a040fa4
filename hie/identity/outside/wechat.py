"""WeChat as a provider: its web-page authorization, which resembles OAuth 2 in other words.

https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/Wechat_webpage_authorization.html: `appid` and
`secret` in the query of a GET, errors as `errcode` with status 200, the person as `openid` and, where the
account belongs to an open platform, `unionid`. No PKCE, no nonce; who refuses comes back without a code. A
person of WeChat is no proven identity: an account or a card desk links it.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from hie.core.errors import UnavailableError
from hie.core.fhir.json import JsonObject
from hie.core.security_errors import OutsideIdentityError
from hie.core.web.outgoing import Caller, Destinations
from hie.identity.outside.configuration import ProviderConfiguration
from hie.identity.outside.provider import OutsideIdentity, Ticket, code_of, fetch

_BUSY: Final = -1  # of the table of errcode: the system is busy
# snsapi_base tells the openid without asking the person; a page opened by a QR code on a computer has
# snsapi_login and another authorization endpoint.
_SCOPE: Final = "snsapi_base"


class WeChatProvider:
    """WeChat for one public account or web application."""

    def __init__(self, configuration: ProviderConfiguration) -> None:
        """Take the registration; `client_id` is the appid."""
        self._settings = configuration
        self._caller = Caller(Destinations([configuration.token_url, configuration.userinfo_url]))

    def address(self, ticket: Ticket, *, is_fresh: bool) -> str:  # noqa: ARG002 - WeChat has no word for it
        """Return the address in the order that WeChat asks for, with its fragment."""
        query = urlencode(
            {
                "appid": self._settings.client_id,
                "redirect_uri": ticket.redirect_uri,
                "response_type": "code",
                "scope": ",".join(self._settings.scopes) or _SCOPE,
                "state": ticket.state,
            }
        )
        return f"{self._settings.authorization_url}?{query}#wechat_redirect"

    def identity(self, ticket: Ticket, answer: Mapping[str, str]) -> OutsideIdentity:  # noqa: ARG002 - no PKCE
        """Return whom the code names: by unionid, which all applications of an account share, else openid."""
        query = urlencode(
            {
                "appid": self._settings.client_id,
                "secret": self._settings.secret,
                "code": code_of(answer),
                "grant_type": "authorization_code",
            }
        )
        found = self._ask(f"{self._settings.token_url}?{query}")
        open_id, union_id = found.get("openid"), found.get("unionid")
        if not isinstance(open_id, str) or not open_id:
            raise OutsideIdentityError("WeChat does not say who it is")
        subject = f"unionid:{union_id}" if isinstance(union_id, str) and union_id else f"openid:{open_id}"
        return OutsideIdentity(subject, {"openid": open_id})

    def sign_out_address(self, back: str) -> str:  # noqa: ARG002 - WeChat has no sign-out
        """Return ""."""
        return ""

    def _ask(self, url: str) -> JsonObject:
        found = fetch(self._caller, "GET", url)
        code = found.get("errcode", 0)
        if code == _BUSY:
            raise UnavailableError("WeChat is busy")
        if code != 0:
            raise OutsideIdentityError(f"WeChat refused with errcode {int(code)}")
        return found
