"""The tables of every feature: what migrations are compared with."""

from sqlalchemy import MetaData
from sqlmodel import SQLModel

import analytics.tables
import booking.tables
import fhir_server.full_text.tables
import fhir_server.jobs.tables
import fhir_server.subscriptions.tables
import fhir_server.tables
import hie.consent.tables
import hie.core.audit.tables
import hie.core.crypto.tables
import hie.core.outbox
import hie.identity.outside.tables
import hie.identity.tables
import hie.policy.tables
import hie.privacy.tables
import hie.rights.tables
import hie.simulator.tables
import hl7_gateway.tables

# Importing them is what fills the metadata.
_WITH_TABLES = (
    analytics.tables,
    booking.tables,
    fhir_server.full_text.tables,
    fhir_server.jobs.tables,
    fhir_server.subscriptions.tables,
    fhir_server.tables,
    hie.consent.tables,
    hie.core.audit.tables,
    hie.core.crypto.tables,
    hie.core.outbox,
    hie.identity.outside.tables,
    hie.identity.tables,
    hie.policy.tables,
    hie.privacy.tables,
    hie.rights.tables,
    hie.simulator.tables,
    hl7_gateway.tables,
)


def schema() -> MetaData:
    """Return the tables of every feature."""
    return SQLModel.metadata
