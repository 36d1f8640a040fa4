"""The composition root: the only module that knows every concrete class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, partial
from types import TracebackType
from typing import Self

from analytics.counts import DailyCounts
from analytics.refresh import TOPIC, CaseRefresh
from fhir_server.attachments.findings import findings_of_attachments
from fhir_server.audit.search import TrailSearch
from fhir_server.bulk import deidentified, export, import_, record_copy, reindex, resealing
from fhir_server.bulk.batch import BatchImporter
from fhir_server.bulk.deidentified_jobs import DeidentifiedJobs
from fhir_server.bulk.pool import ImportPool
from fhir_server.bulk.record_copy import RecordCopies
from fhir_server.erasure import PatientErasure
from fhir_server.full_text.words_indexer import WordsIndexer
from fhir_server.interactions import deferred
from fhir_server.interactions.deferred_job import Deferred
from fhir_server.jobs.job import JobKind
from fhir_server.jobs.oversight import JobsOfAll
from fhir_server.jobs.runner import Runner
from fhir_server.jobs.service import Jobs
from fhir_server.masked import MaskedRepository
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
from hie import conversion
from hie.consent.derivation import ConsentRefresh, ConsentRules
from hie.consent.queries import withheld
from hie.core.access import Permissive
from hie.core.audit.auditing import Auditing
from hie.core.clock import Clock, SystemClock
from hie.core.crypto.data_keys import DataKeys
from hie.core.crypto.providers import data_keys, text_cipher
from hie.core.db import embedded
from hie.core.db.database import Database
from hie.core.outbox import Handler
from hie.core.oversight import JobOversight, SubscriptionOversight
from hie.core.personal_rights import Erasure
from hie.core.ports import AccessPolicy, CodeTranslator, DailyCountSink
from hie.core.settings import Settings
from hie.core.web.outgoing import Destinations
from hie.identity.service import Identity
from hie.identity.wards import wards_of
from hie.policy import break_glass
from hie.policy.access import RuledPolicy
from hie.policy.break_glass import EmergencyAccess
from hie.policy.break_glass_notice import BreakGlassNotice
from hie.policy.label_spread import LabelSpread
from hie.policy.label_table import load_labels
from hie.policy.labelling import Labelling
from hie.policy.policy import load_policy
from hie.privacy.masking import RoleMasking
from hie.privacy.office import PrivacyOffice
from hie.rights.bureau import Bureau, Office
from hie.rights.readable import ReadableRecord
from hie.schema import schema as schema  # noqa: PLC0414 - asked for here by its name
from hl7_gateway import journal
from hl7_gateway.convert.engine import Engine
from hl7_gateway.convert.supported import resource_types
from hl7_gateway.resealing import JournalResealing
from hl7_gateway.server import Gateway
from terminology.concept_translation import ConceptMapTranslator
from terminology.translation import ConceptMaps


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
    privacy: PrivacyOffice
    project_jobs: DeidentifiedJobs
    search: SearchService
    labelling: Labelling
    label_spread: LabelSpread
    structure: StructureValidator
    daily_counts: DailyCountSink
    handlers: Mapping[str, Sequence[Handler]]
    translator: CodeTranslator
    definitions: Database
    imports: ImportPool
    job_kinds: Mapping[str, JobKind]
    jobs: JobOversight
    subscriptions: SubscriptionOversight
    rights: Bureau
    erasure: Erasure
    keys: DataKeys
    """The data keys of what is encrypted in the database."""

    @cached_property
    def engine(self) -> Engine:
        """The conversion engine; its maps are compiled on first use."""
        return conversion.engine()

    @cached_property
    def emergency_access(self) -> EmergencyAccess:
        """What opens records in an emergency."""
        lasting = timedelta(minutes=self.settings.break_glass_minutes)
        return EmergencyAccess(self.access, self.repository, self.clock, lasting=lasting)

    @cached_property
    def identity(self) -> Identity:
        """Accounts, clients and tokens."""
        return Identity(self.database, self.settings, self.clock, self.keys)

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
        if self.database.cipher is not None:
            with self.database.transaction() as transaction:
                self.database.cipher.prepare(transaction.connection)
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
    keys = data_keys(settings, clock)
    cipher = database.cipher = text_cipher(settings, keys)
    auditing = Auditing(settings, database, patients=StoredPatients(), clock=clock)
    auditing.attach()
    structure = StructureValidator()
    masking = RoleMasking()
    search = SearchService(settings, masking=masking)
    # one connection, opened when first a profile is asked for
    definitions = Database.from_url(url, pool_size=1)
    definitions.cipher = cipher
    profiles = ProfileValidator(StoredResources(definitions, search))
    indexer = search.indexer
    if auditing.is_on:
        search.trail = TrailSearch(indexer, settings.base_url).answer
    criteria = CriteriaReader(indexer, settings)
    sensitive = frozenset(code for _, code in load_policy().sensitive)
    consents = ConsentRules(settings.base_url, settings.zone, sensitive)
    deciding = access or (policy(settings, clock) if settings.auth == "on" else Permissive())
    labels = labelling(settings, is_lasting=not isinstance(deciding, Permissive))
    repository = MaskedRepository(
        masking=masking,
        validator=FurtherValidator(
            FurtherValidator(
                FurtherValidator(
                    ResourceValidator(structure, profiles, clock),
                    "Subscription",
                    findings_of_subscriptions(criteria, clock),
                ),
                "SearchParameter",
                findings_of_definitions(indexer),
            ),
            None,
            findings_of_attachments(settings),
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
        labeller=labels,
    )
    consents.follow(repository)
    label_spread = LabelSpread(repository, labels, load_labels().derived, load_policy().subjects)
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
    privacy = PrivacyOffice(settings, database, deciding, clock, keys)
    erasure = PatientErasure(keys, clock, jobs=settings.jobs, elsewhere=(journal.erase,))
    server = build_server(
        repository,
        database,
        settings,
        translator=translator,
        deidentification=privacy.exports,
        erasure=erasure,
    )
    mounted(server)  # what it says of itself is what its routes are
    office = Office(settings, database, repository, clock, keys)
    copies = RecordCopies(Jobs(settings.base_url.rstrip("/"), settings.jobs, clock))
    rights = office.bureau(copies, erasure)
    return Exchange(
        settings=settings,
        clock=clock,
        database_url=url,
        database=database,
        auditing=auditing,
        access=deciding,
        repository=repository,
        privacy=privacy,
        project_jobs=DeidentifiedJobs(server.jobs, privacy.exports),
        search=search,
        labelling=labels,
        label_spread=label_spread,
        structure=structure,
        daily_counts=DailyCounts(),
        handlers={
            TOPIC: (
                CaseRefresh(repository, settings.zone),
                ConsentRefresh(repository, consents),
                label_spread,
                office.receipts(repository),
                Subscriber(repository, criteria, Destinations(settings.subscription_endpoints), clock),
            ),
            break_glass.TOPIC: (BreakGlassNotice(clock),),
        },
        translator=translator,
        definitions=definitions,
        imports=imports,
        job_kinds={
            export.KIND: export.Export(repository, indexer, clock, base_url=server.base_url, masking=masking),
            deidentified.KIND: deidentified.DeidentifiedExport(
                repository, indexer, clock, base_url=server.base_url, deidentification=privacy.exports
            ),
            import_.KIND: import_.Import(imports, limit_bytes=settings.max_body_bytes),
            reindex.KIND: reindex.Reindex(Reindexer(search.indexer, search.stored_parameters)),
            deferred.KIND: Deferred(server),
            resealing.KIND: resealing.Reseal(cipher, indexer, {"journal": JournalResealing(cipher)}),
            record_copy.KIND: record_copy.RecordCopy(
                server, ReadableRecord(settings.zone), rights.rights.copy_made, clock
            ),
        },
        jobs=JobsOfAll(repository, Jobs(settings.base_url.rstrip("/"), settings.jobs, clock)),
        subscriptions=WorkedSubscriptions(repository),
        rights=rights,
        erasure=erasure,
        keys=keys,
    )


def labelling(settings: Settings, *, is_lasting: bool) -> Labelling:
    """Return what puts security labels on whatever is stored."""
    table = load_labels(settings.label_rules)
    return Labelling(table, load_policy().sensitive, settings.base_url, is_lasting=is_lasting)


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


def url_of(settings: Settings) -> str:
    """Return the database URL of the setting, or of the embedded server, which is started if need be."""
    if settings.database_url:
        return settings.database_url
    return embedded.url(embedded.start(settings.var_dir / "postgres"))
