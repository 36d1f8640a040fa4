"""The composition root: the only module that knows every concrete class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, partial
from types import TracebackType
from typing import Self

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
import hie.identity.tables
import hie.policy.tables
import hie.simulator.tables
import hl7_gateway.tables
from analytics.counts import DailyCounts
from analytics.refresh import TOPIC, CaseRefresh
from fhir_server.audit.search import TrailSearch
from fhir_server.bulk import export, import_, reindex
from fhir_server.bulk.batch import BatchImporter
from fhir_server.bulk.pool import ImportPool
from fhir_server.full_text.words_indexer import WordsIndexer
from fhir_server.interactions import deferred
from fhir_server.interactions.deferred_job import Deferred
from fhir_server.jobs.job import JobKind
from fhir_server.jobs.oversight import JobsOfAll
from fhir_server.jobs.runner import Runner
from fhir_server.jobs.service import Jobs
from fhir_server.operations import own_definitions
from fhir_server.router import mounted
from fhir_server.search.definition_findings import findings_of_definitions
from fhir_server.search.reindex import Reindexer
from fhir_server.search.service import SearchService
from fhir_server.server import build_server
from fhir_server.service import Repository
from fhir_server.store.patients import StoredPatients
from fhir_server.subscriptions.criteria import CriteriaReader
from fhir_server.subscriptions.definition_findings import findings_of_subscriptions
from fhir_server.subscriptions.endpoint import Sender
from fhir_server.subscriptions.notifier import Notifier, Patience
from fhir_server.subscriptions.oversight import WorkedSubscriptions
from fhir_server.subscriptions.subscriber import Subscriber
from fhir_server.validation.further import FurtherValidator
from fhir_server.validation.level import ResourceValidator
from fhir_server.validation.profile.validator import ProfileValidator
from fhir_server.validation.stored import StoredResources
from fhir_server.validation.structure import StructureValidator
from hie.consent.derivation import ConsentRefresh, ConsentRules
from hie.consent.queries import withheld
from hie.core.access import Permissive
from hie.core.audit.auditing import Auditing
from hie.core.clock import Clock, SystemClock
from hie.core.crypto.data_keys import DataKeys
from hie.core.crypto.providers import data_keys
from hie.core.db import embedded
from hie.core.db.database import Database
from hie.core.outbox import Handler
from hie.core.oversight import JobOversight, SubscriptionOversight
from hie.core.ports import AccessPolicy, CodeTranslator, DailyCountSink
from hie.core.settings import Settings
from hie.core.web.outgoing import Destinations
from hie.identity.service import Identity
from hie.identity.wards import wards_of
from hie.policy.access import RuledPolicy
from hie.policy.break_glass import EmergencyAccess
from hie.policy.policy import load_policy
from hl7_gateway.convert.engine import Engine
from hl7_gateway.convert.supported import resource_types
from hl7_gateway.server import Gateway
from terminology.concept_translation import ConceptMapTranslator
from terminology.translation import ConceptMaps

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
    hie.identity.tables,
    hie.policy.tables,
    hie.simulator.tables,
    hl7_gateway.tables,
)


@dataclass
class Exchange:
    """One process's parts, put together. Close it when the process ends."""

    settings: Settings
    clock: Clock
    database_url: str
    database: Database
    auditing: Auditing
    access: AccessPolicy
    repository: Repository
    search: SearchService
    structure: StructureValidator
    daily_counts: DailyCountSink
    handlers: Mapping[str, Sequence[Handler]]
    translator: CodeTranslator
    definitions: Database
    imports: ImportPool
    job_kinds: Mapping[str, JobKind]
    jobs: JobOversight
    subscriptions: SubscriptionOversight

    @cached_property
    def engine(self) -> Engine:
        """The conversion engine; its maps are compiled on first use."""
        return engine()

    @cached_property
    def emergency_access(self) -> EmergencyAccess:
        """What opens records in an emergency."""
        lasting = timedelta(minutes=self.settings.break_glass_minutes)
        return EmergencyAccess(self.access, self.repository, self.clock, lasting=lasting)

    @cached_property
    def identity(self) -> Identity:
        """Accounts, clients and tokens."""
        return Identity(self.database, self.settings, self.clock, self.keys)

    @cached_property
    def keys(self) -> DataKeys:
        """The data keys of what is encrypted in the database."""
        return data_keys(self.settings, self.clock)

    def gateway(self) -> Gateway:
        """Return a gateway process, not yet listening, with what the first message needs loaded."""
        self.structure.prepare(resource_types())
        return Gateway(
            self.settings,
            database=self.database,
            store=self.repository,
            engine=self.engine,
            clock=self.clock,
        )

    def job_runner(self) -> Runner:
        """Return a runner of every kind of job; each thread of a worker has its own."""
        return Runner(
            self.database,
            self.job_kinds,
            folder=self.settings.jobs,
            clock=self.clock,
            lease=timedelta(seconds=self.settings.job_lease_seconds),
            retention=timedelta(hours=self.settings.job_retention_hours),
        )

    def words_indexer(self) -> WordsIndexer | None:
        """Return what indexes words behind the commits; None where full text is off."""
        return WordsIndexer(self.database, self.search.indexer) if self.settings.full_text else None

    def notifier(self) -> Notifier:
        """Return what sends notifications; the threads of a worker share it."""
        return Notifier(
            self.database,
            self.repository,
            Sender(Destinations(self.settings.subscription_endpoints)),
            base_url=self.settings.base_url,
            patience=Patience.of(self.settings),
            clock=self.clock,
        )

    def publish(self) -> None:
        """Store the resources that are part of the server; what is stored already stays as it is."""
        with self.database.transaction() as transaction:
            own_definitions.publish(self.repository, transaction)

    def close(self) -> None:
        """Close the connections and end the processes that import."""
        self.imports.close()
        self.definitions.close()
        self.auditing.close()
        self.database.close()

    def __enter__(self) -> Self:
        """Return the exchange itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()


def build(
    settings: Settings,
    *,
    database_url: str | None = None,
    clock: Clock | None = None,
    access: AccessPolicy | None = None,
) -> Exchange:
    """Return the parts of one process; the embedded database is started if no URL is set.

    Without `access` it is `policy` that decides where requests need authentication; where they do not,
    everything is permitted, which is why listeners stay on loopback.
    """
    clock = clock or SystemClock()
    url = database_url or url_of(settings)
    database = Database.from_url(
        url,
        pool_size=settings.database_pool,
        statement_timeout_seconds=settings.statement_timeout_seconds,
    )
    auditing = Auditing(settings, database, patients=StoredPatients(), clock=clock)
    auditing.attach()
    structure = StructureValidator()
    search = SearchService(settings)
    # one connection, opened when first a profile is asked for
    definitions = Database.from_url(url, pool_size=1)
    profiles = ProfileValidator(StoredResources(definitions, search))
    indexer = search.indexer
    if auditing.is_on:
        search.trail = TrailSearch(indexer, settings.base_url).answer
    criteria = CriteriaReader(indexer, settings)
    sensitive = frozenset(code for _, code in load_policy().sensitive)
    consents = ConsentRules(settings.base_url, settings.zone, sensitive)
    deciding = access or (policy(settings, clock) if settings.auth == "on" else Permissive())
    repository = Repository(
        validator=FurtherValidator(
            FurtherValidator(
                ResourceValidator(structure, profiles, clock),
                "Subscription",
                findings_of_subscriptions(criteria, clock),
            ),
            "SearchParameter",
            findings_of_definitions(indexer),
        ),
        validation=settings.validation,
        indexer=indexer,
        search=search,
        access=deciding,
        clock=clock,
        delete_limit=settings.conditional_delete_limit,
        reserved=own_definitions.reserved(),
        max_nesting=settings.max_nesting,
        derivations=(consents,),
    )
    translator = ConceptMapTranslator(ConceptMaps())
    imports = ImportPool(
        partial(batch_importer, settings, url, access),
        settings.import_processes,
        own=BatchImporter(
            database,
            repository,
            indexer,
            clock,
            refresh=search.stored_parameters.refresh,
            max_nesting=settings.max_nesting,
        ),
    )
    server = build_server(repository, database, settings, translator=translator)
    mounted(server)  # what it says of itself is what its routes are
    return Exchange(
        settings=settings,
        clock=clock,
        database_url=url,
        database=database,
        auditing=auditing,
        access=deciding,
        repository=repository,
        search=search,
        structure=structure,
        daily_counts=DailyCounts(),
        handlers={
            TOPIC: (
                CaseRefresh(repository, settings.zone),
                ConsentRefresh(repository, consents),
                Subscriber(repository, criteria, Destinations(settings.subscription_endpoints), clock),
            )
        },
        translator=translator,
        definitions=definitions,
        imports=imports,
        job_kinds={
            export.KIND: export.Export(repository, indexer, clock, base_url=settings.base_url.rstrip("/")),
            import_.KIND: import_.Import(imports, limit_bytes=settings.max_body_bytes),
            reindex.KIND: reindex.Reindex(Reindexer(search.indexer, search.stored_parameters)),
            deferred.KIND: Deferred(server),
        },
        jobs=JobsOfAll(repository, Jobs(settings.base_url.rstrip("/"), settings.jobs, clock)),
        subscriptions=WorkedSubscriptions(repository),
    )


def policy(settings: Settings, clock: Clock) -> RuledPolicy:
    """Return the access policy of a server that asks who sends a request."""
    return RuledPolicy(
        load_policy(),
        withheld=withheld,
        wards=wards_of,
        base_url=settings.base_url,
        zone=settings.zone,
        clock=clock,
    )


def batch_importer(settings: Settings, url: str, access: AccessPolicy | None) -> BatchImporter:
    """Return what a process that imports needs, with its own connections to the database at `url`.

    The settings and the policy were sent there from the process that began it.
    """
    return build(settings, database_url=url, access=access).imports.own


def engine() -> Engine:
    """Return a conversion engine with its maps compiled; it needs no database."""
    return Engine(ConceptMaps())


def url_of(settings: Settings) -> str:
    """Return the database URL of the setting, or of the embedded server, which is started if need be."""
    if settings.database_url:
        return settings.database_url
    return embedded.url(embedded.start(settings.var_dir / "postgres"))


def schema() -> MetaData:
    """Return the tables of every feature."""
    return SQLModel.metadata
