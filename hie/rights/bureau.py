"""All that routes, pages and the worker need of the rights of persons, put together of parts of others."""

from dataclasses import dataclass

from hie.core.clock import Clock
from hie.core.crypto.data_keys import DataKeys
from hie.core.db.database import Database
from hie.core.personal_rights import Erasure, RecordCopies
from hie.core.ports import ResourceStore
from hie.core.settings import Settings
from hie.rights.issuing import ReceiptIssue, VersionedStore
from hie.rights.processing import Register
from hie.rights.receipts import Controller
from hie.rights.service import Rights, Terms
from hie.rights.signing import Signing
from hie.rights.standing import Standing


@dataclass(frozen=True, slots=True)
class Bureau:
    """Requests, the register of processing, and who is responsible for the data."""

    rights: Rights
    register: Register
    controller: Controller
    database: Database
    clock: Clock
    days: int


@dataclass(frozen=True, slots=True)
class Office:
    """Makes the parts by the settings of one process."""

    settings: Settings
    database: Database
    store: ResourceStore
    clock: Clock
    keys: DataKeys

    def bureau(self, copies: RecordCopies, erasure: Erasure | None) -> Bureau:
        """Return the requests and the register; without `erasure` no record can be erased."""
        settings = self.settings
        standing = Standing(is_laboratory=settings.auth == "off")
        terms = Terms(settings.rights_days, settings.zone, standing)
        return Bureau(
            Rights(self.store, copies, erasure, self.clock, terms),
            Register(self.clock, standing),
            controller_of(settings),
            self.database,
            self.clock,
            settings.rights_days,
        )

    def receipts(self, store: VersionedStore) -> ReceiptIssue:
        """Return what makes receipts of consents behind the commit."""
        signing = Signing(self.keys, self.settings.crypto, self.clock)
        return ReceiptIssue(store, signing, controller_of(self.settings), self.clock)


def controller_of(settings: Settings) -> Controller:
    """Return who is responsible for the data, as the settings say it."""
    url = settings.base_url.rstrip("/").removesuffix("/fhir")
    return Controller(
        name=settings.controller_name,
        contact=settings.controller_contact,
        address=settings.controller_address,
        email=settings.controller_email,
        phone=settings.controller_phone,
        url=url,
        notice=settings.privacy_notice or f"{url}/privacy",
    )
