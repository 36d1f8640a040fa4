"""The settings of backups, attachments and limits on who asks; `hie.core.settings` has the others."""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class ProtectionSettings(BaseSettings):
    """Settings of backups, of attachments and of limits on requests."""

    model_config = SettingsConfigDict(env_prefix="HIE_", env_file=".env", extra="ignore", frozen=True)

    var_dir: Path = Field(Path("var"), description="Directory of the embedded database, logs and demo data")
    label_rules: Path | None = Field(
        None,
        description="YAML file of codes that make a resource sensitive, beside those of"
        " hie/policy/labels.yaml; after a change `hie relabel` looks at what is stored",
    )
    backup_folder: Path | None = Field(
        None,
        description="Directory of backups, best on another disk or machine; empty: `backup` in `var_dir`",
    )
    backup_wal: bool = Field(
        False,
        description="Whether `hie up` streams the WAL into `backup_folder` all the time, which restoring to"
        " any moment needs",
    )
    backup_passphrase: Path | None = Field(
        None,
        description="File with the passphrase that keys in a backup are encrypted with; empty: keys are not"
        " in it",
    )
    postgresql_programs: Path | None = Field(
        None,
        description="Directory of pg_basebackup, pg_receivewal and postgres, of the server's version"
        " (default: those of the PATH, of Debian's package or of the embedded server)",
    )
    unknown_requests_a_second: Annotated[float, Field(ge=0)] = Field(
        100.0,
        description="Requests of nobody known that one address may send in a second, counted in each process;"
        " three seconds' worth at once; 0: any number",
    )
    client_requests_a_second: Annotated[float, Field(ge=0)] = Field(
        0.0,
        description="Requests that one person or client application may send in a second, counted in each web"
        " process; three seconds' worth at once; 0: any number",
    )
    trusted_proxies: tuple[str, ...] = Field(
        (),
        description="Networks of the proxies before this server, whose X-Forwarded-For names the address of"
        ' who asks, as a JSON list (["10.0.0.0/24"])',
    )

    attachment_bytes: Annotated[int, Field(ge=1024)] = Field(
        32 * 1024 * 1024, description="Largest content that one Binary or Attachment may carry"
    )
    attachment_types: Literal["checked", "any"] = Field(
        "checked",
        description="Whether the content of a Binary or Attachment must be of the type that it declares,"
        " where that type has a signature, and no program",
    )
    clamav: str = Field(
        "",
        description="Where clamd listens that scans attachments, as unix:///run/clamav/clamd.ctl or"
        " tcp://127.0.0.1:3310; empty: they are not scanned",
    )
    clamav_absent: Literal["refused", "accepted"] = Field(
        "refused", description="What becomes of attachments while clamd does not answer or cannot scan them"
    )
    clamav_seconds: Annotated[float, Field(gt=0)] = Field(
        30.0, description="The longest that the scan of one attachment may take"
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _only_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            ip_network(each)
        return value

    @property
    def backups(self) -> Path:
        """The directory of backups."""
        return self.backup_folder or self.var_dir / "backup"
