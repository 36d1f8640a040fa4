"""Every setting, in one class, read from `HIE_*` variables and `.env`."""

import os
import socket
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from hie.core.entry_settings import EntrySettings
from hie.core.rights_settings import RightsSettings


class ValidationLevel(StrEnum):
    """How a write is checked."""

    OFF = "off"
    STRUCTURE = "structure"
    STRICT = "strict"
    PROFILE = "profile"


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a listener on `host`."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _base_url(given: dict[str, Any]) -> str:
    """Return the FHIR base URL of the listener in `given` settings."""
    host = str(given.get("host", "127.0.0.1"))
    return f"http://{f'[{host}]' if ':' in host else host}:{given.get('port', 8000)}/fhir"


class Settings(EntrySettings, RightsSettings):
    """Settings of every process; `hie settings` prints them with their values."""

    model_config = SettingsConfigDict(env_prefix="HIE_", env_file=".env", extra="ignore", frozen=True)

    database_url: str | None = Field(
        None, description="PostgreSQL URL (server 15 or later); empty: the embedded server under `var_dir`"
    )
    database_pool: Annotated[int, Field(ge=1, le=64)] = Field(
        4, description="Connections that one process holds at most to write by, and as many again to read by"
    )
    statement_timeout_seconds: Annotated[float, Field(gt=0)] = Field(
        30.0, description="The longest that one statement of a request may run"
    )
    broker_url: str | None = Field(
        None, description="Celery broker URL (redis:// or amqp://); empty: the database carries the queue"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="What the processes log to standard error"
    )
    host: str = Field(
        "127.0.0.1", description="Address that HTTP listens on; loopback only where HIE_AUTH is off"
    )
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8000, description="HTTP port")
    web_processes: Annotated[int, Field(ge=1)] = Field(1, description="HTTP server processes")
    mllp_host: str = Field("127.0.0.1", description="Address that MLLP listens on; loopback only without TLS")
    mllp_port: Annotated[int, Field(ge=0, le=65535)] = Field(2575, description="MLLP port")
    gateway_processes: Annotated[int, Field(ge=1)] = Field(2, description="Gateway processes")
    mllp_max_message_bytes: Annotated[int, Field(ge=1024)] = Field(
        64 * 1024 * 1024, description="Largest MLLP frame that is read"
    )
    mllp_idle_seconds: Annotated[float, Field(gt=0)] = Field(
        600.0, description="An MLLP connection that is silent for this long is closed"
    )
    mllp_connections: Annotated[int, Field(ge=1)] = Field(
        2000, description="MLLP connections of one gateway process at most"
    )
    mllp_frame_seconds: Annotated[float, Field(gt=0)] = Field(
        30.0, description="A frame that was begun must be complete after this long"
    )
    mllp_window: Annotated[int, Field(ge=1)] = Field(
        64, description="Messages of one connection that may wait before its socket is no longer read"
    )
    gateway_batch: Annotated[int, Field(ge=1)] = Field(20, description="Messages in one transaction at most")
    control_id_reuse: Literal["process", "reject"] = Field(
        "process",
        description="A message whose MSH-10 the sender already used for other content: process it, noted in"
        " the journal, or reject it",
    )
    max_body_bytes: Annotated[int, Field(ge=1024)] = Field(
        64 * 1024 * 1024, description="Largest HTTP body that is read"
    )
    max_bundle_entries: Annotated[int, Field(ge=1)] = Field(
        10_000, description="Entries that one batch or transaction Bundle may have"
    )
    max_nesting: Annotated[int, Field(ge=8, le=256)] = Field(
        128, description="Levels of JSON objects and arrays that a body may be nested"
    )
    conditional_delete_limit: Annotated[int, Field(ge=1, le=10_000)] = Field(
        1_000,
        description="Resources that one conditional delete may remove; 1: criteria that select several are"
        " refused",
    )
    validation: ValidationLevel = Field(
        ValidationLevel.STRUCTURE,
        description="How writes are checked: off, structure (shape and required codes), strict (also by"
        " fhir.resources) or profile (also the invariants of R4 and the profiles that resources claim)",
    )
    time_zone: str = Field("Asia/Shanghai", description="Zone of senders that name none, and of the pages")
    identifier_base: str = Field(
        "http://hie.example/sid", description="Base of Identifier.system for local namespaces of senders"
    )
    base_url: str = Field(
        default_factory=_base_url,
        description="FHIR base URL as clients see it (default: of host and port)",
    )
    cors_origins: tuple[str, ...] = Field(
        (),
        description="Origins whose pages may call the FHIR API from a browser, as a JSON list"
        ' (["https://app.example"]), or ["*"] for any; empty: none but our own',
    )
    full_text: bool = Field(
        True, description="Whether the worker indexes narratives and all texts, for `_text` and `_content`"
    )
    page_size: Annotated[int, Field(ge=1, le=1000)] = Field(20, description="Default `_count` of a search")
    page_size_limit: Annotated[int, Field(ge=1)] = Field(1000, description="Largest `_count` of a search")
    include_limit: Annotated[int, Field(ge=1)] = Field(
        1000,
        description="Most resources that come along (`_include`, `_revinclude`) on one page of a search;"
        " the others are on the pages behind its `next` link",
    )
    include_depth: Annotated[int, Field(ge=1, le=1000)] = Field(
        50,
        description="How often `:iterate` goes on from what it found; that more is missing is said then",
    )
    graphql_depth: Annotated[int, Field(ge=1, le=100)] = Field(
        20, description="Levels of fields below one another that one GraphQL document may have"
    )
    graphql_fields: Annotated[int, Field(ge=1)] = Field(
        2_000, description="Fields that one GraphQL document may select, its fragments put in place"
    )
    graphql_values: Annotated[int, Field(ge=1)] = Field(
        100_000, description="Values and objects in the result of one GraphQL request at most"
    )
    graphql_searches: Annotated[int, Field(ge=1)] = Field(
        200, description="Searches that one GraphQL request may do"
    )
    job_folder: Path | None = Field(
        None,
        description="Directory of the files of jobs, shared by all machines; empty: `jobs` in `var_dir`",
    )
    job_threads: Annotated[int, Field(ge=1, le=32)] = Field(
        2, description="Jobs that one worker works at the same time"
    )
    job_lease_seconds: Annotated[float, Field(gt=0)] = Field(
        30.0, description="A job whose worker is silent for this long goes to another worker"
    )
    job_retention_hours: Annotated[float, Field(gt=0)] = Field(
        24.0, description="The result of a job is kept for this long"
    )

    import_sources: tuple[str, ...] = Field(
        (),
        description="Beginnings of the URLs that `$import` may read, as a JSON list"
        ' (["file:///data/import/"]); empty: none, files come in the body of the request',
    )
    import_body_bytes: Annotated[int, Field(ge=1024)] = Field(
        16 * 1024**3, description="Largest body of NDJSON that `$import` takes"
    )
    import_processes: Annotated[int, Field(ge=1, le=64)] = Field(
        default_factory=lambda: min(os.cpu_count() or 1, 8),
        description="Processes that one import stores with (default: the cores, at most 8)",
    )

    subscription_endpoints: tuple[str, ...] = Field(
        (),
        description="Beginnings of the URLs that rest-hook subscriptions may name, as a JSON list"
        ' (["https://clinic.example/fhir/"]); empty: none, subscribers use websockets',
    )
    subscription_threads: Annotated[int, Field(ge=1, le=64)] = Field(
        4, description="Notifications that one worker sends at the same time"
    )
    subscription_timeout_seconds: Annotated[float, Field(gt=0)] = Field(
        30.0, description="The longest that an endpoint may take to answer a notification"
    )
    subscription_attempts: Annotated[int, Field(ge=1)] = Field(
        20, description="Attempts at one notification before its subscription is in error"
    )
    subscription_retry_seconds: Annotated[float, Field(gt=0)] = Field(
        1.0, description="The wait before the second attempt; each further one is twice as long"
    )
    subscription_longest_wait_seconds: Annotated[float, Field(gt=0)] = Field(
        3600.0, description="The longest wait between two attempts at a notification"
    )
    subscription_event_days: Annotated[float, Field(gt=0)] = Field(
        30.0, description="Events of subscriptions, also undelivered ones, are kept for this many days"
    )

    crypto: Literal["international", "national"] = Field(
        "international",
        description="What new keys, ciphertexts and signatures are made by: AES-256-GCM, SHA-256 and ES256,"
        " or SM4-GCM, SM3 and SM2; what was made before is read under either",
    )
    encryption: Literal["on", "off"] = Field(
        "off",
        description="Whether bodies of resources and messages of the journal are stored encrypted; what was"
        " encrypted is read under either, and `hie encryption apply` changes what is stored",
    )
    key_provider: Literal["file", "environment"] = Field(
        "file", description="What holds the key-encryption keys: files of `key_folder`, or the environment"
    )
    key_folder: Path | None = Field(
        None,
        description="Directory of the key-encryption keys, the same for all machines; empty:"
        " `keys/encryption` in `var_dir`",
    )
    key_encryption_keys: dict[str, SecretStr] = Field(
        {},
        description="The key-encryption keys where the environment holds them, by id, oldest first, as a JSON"
        ' object ({"2026": "AES-256-GCM:<base64>"})',
    )

    break_glass_minutes: Annotated[int, Field(ge=5, le=1_440)] = Field(
        60, description="How long a record that a clinician opened in an emergency stays open"
    )
    anonymity_k: Annotated[int, Field(ge=2)] = Field(
        5, description="Fewest patients who are alike in a de-identified export; a project may ask for more"
    )
    anonymity_left_out: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.05, description="Share of the patients that a de-identified export may leave out to be anonymous"
    )
    audit: Literal["on", "off"] = Field(
        "on", description="Whether interactions are recorded in the audit trail; off is for measuring only"
    )
    audit_folder: Path | None = Field(
        None,
        description="Directory of the local logs of the audit trail, on a disk of this machine;"
        " empty: `audit` in `var_dir`",
    )
    audit_site: str = Field(
        default_factory=socket.gethostname,
        description="Name of this machine in the audit trail (default: its host name)",
    )
    audit_digest: Literal["sha256", "sm3"] = Field(
        "sha256", description="Digest that chains the audit trail; records chained before keep theirs"
    )
    audit_anchors: Path | None = Field(
        None,
        description="File that hashes of the audit trail are appended to, best on another disk or machine;"
        " empty: `anchors.jsonl` in the directory of the local logs",
    )
    audit_anchor_records: Annotated[int, Field(ge=1)] = Field(
        10_000, description="An anchor of the audit trail is made after so many records"
    )
    audit_anchor_minutes: Annotated[float, Field(gt=0)] = Field(
        10.0, description="An anchor is made so long after the last, when there are records"
    )
    audit_retention_days: Annotated[int, Field(ge=183)] = Field(
        1096,
        description="The audit trail is kept for so many days, whole months; six months is the least"
        " (Cybersecurity Law of the PRC, article 21)",
    )
    audit_syslog: str = Field(
        "",
        description="Receiver of the audit trail by syslog (ITI-20), as tls://host:6514, tcp:// or udp://;"
        " empty: none",
    )
    audit_syslog_ca: Path | None = Field(
        None, description="Certificates that the receiver's must be signed by (PEM; default: the system's)"
    )
    audit_syslog_certificate: Path | None = Field(
        None, description="Our certificate for the receiver of the audit trail (PEM)"
    )
    audit_syslog_key: Path | None = Field(None, description="The key of that certificate (PEM)")
    audit_complaint_days: Annotated[int, Field(ge=1)] = Field(
        15, description="Days within which a citizen's complaint about an access must be answered"
    )

    @field_validator("database_url")
    @classmethod
    def _only_postgresql(cls, value: str | None) -> str | None:
        if value and not value.startswith(("postgresql://", "postgres://")):
            raise ValueError(
                f"{value.partition(':')[0]} is not PostgreSQL; the URL begins with postgresql://"
            )
        return value or None

    @model_validator(mode="after")
    def _only_loopback_without_certificates(self) -> Self:
        files = (self.mllp_certificate, self.mllp_key, self.mllp_authorities)
        if any(files) and not all(files):
            raise ValueError("HIE_MLLP_CERTIFICATE, HIE_MLLP_KEY and HIE_MLLP_AUTHORITIES go together")
        if self.mllp_senders is not None and not all(files):
            raise ValueError("HIE_MLLP_SENDERS needs HIE_MLLP_CERTIFICATE")
        if not is_loopback(self.mllp_host) and self.mllp_senders is None:
            raise ValueError(
                f"HIE_MLLP_HOST: {self.mllp_host} is not a loopback address; MLLP has no authentication of"
                " its own, beyond it HIE_MLLP_CERTIFICATE and HIE_MLLP_SENDERS are needed"
            )
        return self

    @model_validator(mode="after")
    def _only_loopback_without_authentication(self) -> Self:
        if not is_loopback(self.host) and self.auth == "off":
            raise ValueError(
                f"HIE_HOST: {self.host} is not a loopback address; beyond it authentication must be on"
            )
        base = urlsplit(self.base_url)
        if self.auth == "on" and base.scheme != "https" and not is_loopback(base.hostname or ""):
            # RFC 6749, 3.1.2.1 and RFC 6750, 5.3: tokens do not travel in the clear
            raise ValueError("Authentication needs a HIE_BASE_URL that begins with https://")
        return self

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"{value} is not a time zone of the IANA database")
        return value

    @property
    def issuer(self) -> str:
        """The issuer of our tokens: the base URL without its last part, ``/fhir``."""
        return self.base_url.rstrip("/").removesuffix("/fhir")

    @property
    def keys(self) -> Path:
        """The directory of the key-encryption keys."""
        return self.key_folder or self.var_dir / "keys" / "encryption"

    @property
    def jobs(self) -> Path:
        """The directory of the files that jobs write."""
        return self.job_folder or self.var_dir / "jobs"

    @property
    def audit_logs(self) -> Path:
        """The directory of the local logs of the audit trail."""
        return self.audit_folder or self.var_dir / "audit"

    @property
    def anchors(self) -> Path:
        """The file of the anchors of the audit trail."""
        return self.audit_anchors or self.audit_logs / "anchors.jsonl"

    @property
    def zone(self) -> ZoneInfo:
        """The zone of `time_zone`."""
        return ZoneInfo(self.time_zone)
