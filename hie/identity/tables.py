"""The tables of identity: accounts and their sessions, clients and what was granted to them, keys.

Secrets that were random when made (codes, tokens, session cookies, secrets of clients) stand here as SHA-256
digests only; passwords as argon2id; what must be read back (private keys, TOTP secrets) is wrapped by
`hie.identity.wrapping`. Not here: statements.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from hie.core.access import Role
from hie.core.fhir.json import JsonObject

_ROLES = ", ".join(f"'{role}'" for role in Role)
_ADMINISTRATORS = "role IN ('system-administrator', 'security-officer', 'auditor')"


def _moment(*, is_optional: bool = False) -> Column[datetime]:
    return Column(DateTime(timezone=True), nullable=is_optional)


def _digest() -> Column[bytes]:
    return Column(LargeBinary, primary_key=True)


def _account(*, is_key: bool = False, is_optional: bool = False) -> Column[UUID]:
    return Column(
        ForeignKey("identity_account.id", ondelete="CASCADE"), primary_key=is_key, nullable=is_optional
    )


def _texts() -> Column[list[str]]:
    return Column(ARRAY(String), nullable=False)


class Account(SQLModel, table=True):
    """Somebody who signs in, and the resources that it is, works as, for and in (ids, "" for none)."""

    __tablename__ = "identity_account"
    __table_args__ = (CheckConstraint("name = lower(name)", name="identity_account_name_lower"),)

    id: UUID = Field(primary_key=True)
    name: str = Field(unique=True)
    display_name: str = ""
    password_hash: str = ""
    password_changed_at: datetime | None = Field(default=None, sa_column=_moment(is_optional=True))
    totp_secret: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    totp_confirmed_at: datetime | None = Field(default=None, sa_column=_moment(is_optional=True))
    totp_step: int = 0
    patient_id: str = ""
    practitioner_id: str = ""
    organization_id: str = ""
    department_id: str = ""
    is_disabled: bool = False
    is_demonstration: bool = False
    created_at: datetime = Field(sa_column=_moment())


class AccountRole(SQLModel, table=True):
    """A role of an account. Nobody holds two of the three administrators' (三权分立)."""

    __tablename__ = "identity_account_role"
    __table_args__ = (
        CheckConstraint(f"role IN ({_ROLES})", name="identity_account_role_known"),
        Index(
            "identity_account_role_one_administrator",
            "account_id",
            unique=True,
            postgresql_where=text(_ADMINISTRATORS),
        ),
    )

    account_id: UUID = Field(sa_column=_account(is_key=True))
    role: str = Field(primary_key=True)


class Dependant(SQLModel, table=True):
    """A Patient whom the account's person may act for, as a parent or guardian, until a moment."""

    __tablename__ = "identity_dependant"

    account_id: UUID = Field(sa_column=_account(is_key=True))
    patient_id: str = Field(primary_key=True)
    until: datetime | None = Field(default=None, sa_column=_moment(is_optional=True))


class RecoveryCode(SQLModel, table=True):
    """A code that stands in for the second factor once."""

    __tablename__ = "identity_recovery_code"

    account_id: UUID = Field(sa_column=_account(is_key=True))
    digest: bytes = Field(sa_column=_digest())


class SignInFailure(SQLModel, table=True):
    """How often in a row signing in failed under a name, whether or not there is such an account."""

    __tablename__ = "identity_sign_in_failure"

    digest: bytes = Field(sa_column=_digest())
    failures: int
    last_at: datetime = Field(sa_column=_moment())


class SignInLink(SQLModel, table=True):
    """A link that signs in once; deleted by its use."""

    __tablename__ = "identity_sign_in_link"

    digest: bytes = Field(sa_column=_digest())
    account_id: UUID = Field(sa_column=_account())
    expires_at: datetime = Field(sa_column=_moment())


class PortalSession(SQLModel, table=True):
    """A session of the portal. Until the second factor was given it lets nobody in.

    `methods` are codes of https://www.rfc-editor.org/rfc/rfc8176, "link" for a sign-in link, "external" for a
    `provider` outside.
    """

    __tablename__ = "identity_session"
    __table_args__ = (Index("identity_session_ends", "ends_at"),)

    id: UUID = Field(unique=True)
    digest: bytes = Field(sa_column=_digest())
    account_id: UUID = Field(sa_column=_account())
    is_complete: bool
    methods: list[str] = Field(sa_column=_texts())
    provider: str = ""
    form_token: str
    authenticated_at: datetime = Field(sa_column=_moment())
    seen_at: datetime = Field(sa_column=_moment())
    ends_at: datetime = Field(sa_column=_moment())


class Client(SQLModel, table=True):
    """A registered client (https://www.rfc-editor.org/rfc/rfc7591#section-2)."""

    __tablename__ = "identity_client"
    __table_args__ = (
        CheckConstraint(
            "auth_method IN ('none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt')",
            name="identity_client_auth_method",
        ),
        CheckConstraint(
            "(auth_method IN ('client_secret_basic', 'client_secret_post')) = (secret_digest IS NOT NULL)",
            name="identity_client_secret",
        ),
        CheckConstraint(
            "(auth_method = 'private_key_jwt') = (jwks IS NOT NULL OR jwks_uri <> '')",
            name="identity_client_keys",
        ),
    )

    id: str = Field(primary_key=True)
    name: str
    auth_method: str
    secret_digest: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    jwks: JsonObject | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    jwks_uri: str = ""
    redirect_uris: list[str] = Field(sa_column=_texts())
    grant_types: list[str] = Field(sa_column=_texts())
    scopes: list[str] = Field(sa_column=_texts())
    launch_uri: str = ""
    organization_id: str = ""
    may_introspect: bool = False
    is_disabled: bool = False
    created_at: datetime = Field(sa_column=_moment())


class SigningKey(SQLModel, table=True):
    """A key that tokens are signed with until `retired_at`; what it signed is taken until `dropped_at`."""

    __tablename__ = "identity_signing_key"

    id: str = Field(primary_key=True)
    algorithm: str
    public_jwk: JsonObject = Field(sa_column=Column(JSONB, nullable=False))
    private_key: bytes
    created_at: datetime = Field(sa_column=_moment())
    retired_at: datetime | None = Field(default=None, sa_column=_moment(is_optional=True))
    dropped_at: datetime | None = Field(default=None, sa_column=_moment(is_optional=True))


class Grant(SQLModel, table=True):
    """What a person granted to a client: the code and every token that came of it are its."""

    __tablename__ = "identity_grant"
    __table_args__ = (Index("identity_grant_account", "account_id"), Index("identity_grant_ends", "ends_at"))

    id: UUID = Field(primary_key=True)
    client_id: str = Field(
        sa_column=Column(ForeignKey("identity_client.id", ondelete="CASCADE"), nullable=False)
    )
    account_id: UUID = Field(sa_column=_account())
    session_id: UUID | None = None
    scope: str
    patient_id: str = ""
    encounter_id: str = ""
    nonce: str = ""
    methods: list[str] = Field(sa_column=_texts())
    authenticated_at: datetime = Field(sa_column=_moment())
    created_at: datetime = Field(sa_column=_moment())
    ends_at: datetime = Field(sa_column=_moment())
    revoked_at: datetime | None = Field(default=None, sa_column=_moment(is_optional=True))


class AuthorizationCode(SQLModel, table=True):
    """The code of a grant, to be used once (https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2)."""

    __tablename__ = "identity_authorization_code"

    digest: bytes = Field(sa_column=_digest())
    grant_id: UUID = Field(
        sa_column=Column(ForeignKey("identity_grant.id", ondelete="CASCADE"), nullable=False)
    )
    redirect_uri: str
    code_challenge: str
    expires_at: datetime = Field(sa_column=_moment())
    used_at: datetime | None = Field(default=None, sa_column=_moment(is_optional=True))


class RefreshToken(SQLModel, table=True):
    """A refresh token of a grant; each use makes the next one, a second use revokes the grant."""

    __tablename__ = "identity_refresh_token"

    digest: bytes = Field(sa_column=_digest())
    grant_id: UUID = Field(
        sa_column=Column(ForeignKey("identity_grant.id", ondelete="CASCADE"), nullable=False)
    )
    created_at: datetime = Field(sa_column=_moment())
    used_at: datetime | None = Field(default=None, sa_column=_moment(is_optional=True))


class ClientAssertion(SQLModel, table=True):
    """The `jti` of an assertion that a client authenticated with; none is taken twice."""

    __tablename__ = "identity_client_assertion"
    __table_args__ = (Index("identity_client_assertion_expires", "expires_at"),)

    digest: bytes = Field(sa_column=_digest())
    expires_at: datetime = Field(sa_column=_moment())


class LaunchContext(SQLModel, table=True):
    """What an app is launched for from a chart of the portal: the meaning of its `launch` parameter."""

    __tablename__ = "identity_launch_context"

    digest: bytes = Field(sa_column=_digest())
    account_id: UUID = Field(sa_column=_account())
    client_id: str = Field(
        sa_column=Column(ForeignKey("identity_client.id", ondelete="CASCADE"), nullable=False)
    )
    patient_id: str
    encounter_id: str = ""
    expires_at: datetime = Field(sa_column=_moment())


class Revocation(SQLModel, table=True):
    """Access tokens that are no longer taken: of one `kind` and `subject`, issued no later than `before`."""

    __tablename__ = "identity_revocation"
    __table_args__ = (
        CheckConstraint("kind IN ('token', 'grant', 'account', 'client')", name="identity_revocation_kind"),
        Index("identity_revocation_expires", "expires_at"),
    )

    kind: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    before: datetime = Field(sa_column=_moment())
    expires_at: datetime = Field(sa_column=_moment())
