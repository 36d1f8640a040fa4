"""What is wrong with who asks: no credentials, bad ones, too many attempts.

Part of the tree of `hie.core.errors`, whose table says what the attributes mean.

ExchangeError
├── BackupError                     a backup cannot be made, read or restored
└── UnauthenticatedError            nobody is known behind the request
    ├── InvalidTokenError           the token is not one of ours, expired, revoked, or for another server
    └── SignInError                 name, password, code or link do not let anybody in
CiphertextError                     what is stored encrypted does not open
KeyDestroyedError                   its key was destroyed for good
UnavailableError
├── KeyProviderError                what holds the key-encryption keys does not answer
└── ScannerError                    the virus scanner does not say whether content is clean
SenderDisabledError
└── SenderCertificateError          the certificate of the connection does not speak for the sender
RequestError
├── AccountError                    an account cannot be made or changed as asked
├── AnonymityError                  an export would tell who patients are
├── OutsideIdentityError            what another provider of identity says is not acceptable
├── PasswordError                   a password does not meet the rules
├── RateLimitError                  too many requests; carries how long to wait
└── RegistrationError               a client cannot be registered as asked
"""

from http import HTTPStatus
from typing import ClassVar

from hie.core.errors import ExchangeError, RequestError, SenderDisabledError, UnavailableError


class BackupError(ExchangeError):
    """The backup cannot be made, read or restored."""

    code = "exception"


class UnauthenticatedError(ExchangeError):
    """The request needs authentication."""

    code = "login"
    status = HTTPStatus.UNAUTHORIZED
    acknowledgment = "AR"
    error: ClassVar[str] = ""

    def challenge(self, realm: str) -> str:
        """Return the value of WWW-Authenticate (https://www.rfc-editor.org/rfc/rfc6750#section-3).

        A request without any credentials is told no error code, as the RFC wants it.
        """
        said = f', error="{self.error}", error_description="{self.message}"' if self.error else ""
        return f'Bearer realm="{realm}"{said}'


class InvalidTokenError(UnauthenticatedError):
    """The access token is expired, revoked, malformed, or not for this server."""

    error = "invalid_token"


class SignInError(UnauthenticatedError):
    """Name, password or code are wrong, or there were too many attempts."""


class CiphertextError(ExchangeError):
    """What is stored encrypted does not open: it was changed, moved, or sealed with another key."""

    code = "exception"


class KeyDestroyedError(ExchangeError):
    """The key of what is stored was destroyed; nobody can read it any more."""

    code = "deleted"
    status = HTTPStatus.GONE


class KeyProviderError(UnavailableError):
    """What holds the key-encryption keys does not answer."""


class ScannerError(UnavailableError):
    """The virus scanner does not say whether content is clean."""


class SenderCertificateError(SenderDisabledError):
    """The certificate of the connection does not speak for the sender."""


class AccountError(RequestError):
    """The account cannot be made or changed so."""

    code = "business-rule"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class AnonymityError(RequestError):
    """No generalisation makes the patients of an export anonymous enough."""

    code = "suppressed"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class OutsideIdentityError(RequestError):
    """What the provider of identity says is not acceptable."""

    code = "forbidden"
    status = HTTPStatus.FORBIDDEN


class PasswordError(RequestError):
    """The password does not meet the rules."""

    code = "business-rule"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class RegistrationError(RequestError):
    """The client cannot be registered so."""

    code = "value"


class RateLimitError(RequestError):
    """Too many requests."""

    code = "throttled"
    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, message: str, *, wait_seconds: int) -> None:
        """Take the sentence and how long to wait."""
        super().__init__(message)
        self.wait_seconds = wait_seconds
