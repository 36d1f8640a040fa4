"""Every setting, in one class, read from `HIE_*` variables and `.env`."""

import os
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class ValidationLevel(StrEnum):
    """How a write is checked."""

    OFF = "off"
    STRUCTURE = "structure"
    STRICT = "strict"
    PROFILE = "profile"


def _base_url(given: dict[str, Any]) -> str:
    """Return the FHIR base URL of the listener in `given` settings."""
    host = str(given.get("host", "127.0.0.1"))
    return f"http://{f'[{host}]' if ':' in host else host}:{given.get('port', 8000)}/fhir"


class Settings(BaseSettings):
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
    var_dir: Path = Field(Path("var"), description="Directory of the embedded database, logs and demo data")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="What the processes log to standard error"
    )
    host: str = Field("127.0.0.1", description="Address that HTTP listens on; loopback only")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8000, description="HTTP port")
    web_processes: Annotated[int, Field(ge=1)] = Field(1, description="HTTP server processes")
    mllp_host: str = Field("127.0.0.1", description="Address that MLLP listens on; loopback only")
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
    full_text: bool = Field(
        False, description="Index narratives and all texts, for `_text` and `_content`; then run $reindex"
    )
    page_size: Annotated[int, Field(ge=1, le=1000)] = Field(20, description="Default `_count` of a search")
    page_size_limit: Annotated[int, Field(ge=1)] = Field(1000, description="Largest `_count` of a search")
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

    @field_validator("database_url")
    @classmethod
    def _only_postgresql(cls, value: str | None) -> str | None:
        if value and not value.startswith(("postgresql://", "postgres://")):
            raise ValueError(
                f"{value.partition(':')[0]} is not PostgreSQL; the URL begins with postgresql://"
            )
        return value or None

    @field_validator("host", "mllp_host")
    @classmethod
    def _only_loopback(cls, value: str) -> str:
        try:
            is_loopback = value == "localhost" or ip_address(value).is_loopback
        except ValueError:
            is_loopback = False
        if not is_loopback:
            raise ValueError(
                f"{value} is not a loopback address; listeners stay on loopback until authentication is on"
            )
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"{value} is not a time zone of the IANA database")
        return value

    @property
    def jobs(self) -> Path:
        """The directory of the files that jobs write."""
        return self.job_folder or self.var_dir / "jobs"

    @property
    def zone(self) -> ZoneInfo:
        """The zone of `time_zone`."""
        return ZoneInfo(self.time_zone)
