"""De-identified exports for projects: implements `hie.core.deidentification`."""

from collections import Counter
from collections.abc import Mapping
from datetime import date
from uuid import UUID

from hie.core.access import Requester
from hie.core.clock import Clock
from hie.core.crypto.digest import DigestName
from hie.core.db.database import Transaction
from hie.core.errors import NotFoundError
from hie.core.fhir.json import JsonObject, dumps, loads
from hie.privacy.anonymity import Level, Quasi, Settled, settle
from hie.privacy.deidentification import Deidentifier, Plan, quasi_of
from hie.privacy.deidentification_rules import DeidentificationRules, load_rules
from hie.privacy.projects import Projects
from hie.privacy.pseudonyms import Pseudonyms
from hie.privacy.queries import Project
from hie.privacy.report import report


class ProjectSurvey:
    """Counts patients by quasi-identifiers, then finds who is left out (`Survey`)."""

    def __init__(self, project: Project, rules: DeidentificationRules, today: date, share: float) -> None:
        """Take the project, the day that ages are counted at, and the share that may be left out."""
        self._project = project
        self._rules = rules
        self._today = today
        self._share = share
        self._counts = Counter[Quasi]()
        self._settled: Settled | None = None
        self._left_out: list[str] = []

    def count(self, patient: bytes) -> None:
        """Take a Patient the first time."""
        self._counts[self._quasi(loads(patient))] += 1

    def settle(self) -> None:
        """Find the level; raises AnonymityError."""
        self._settled = settle(
            self._counts,
            k=self._project.k,
            most_suppressed=self._share,
            regions=self._project.regions,
        )

    def choose(self, patient: bytes) -> None:
        """Take a Patient the second time."""
        assert self._settled is not None  # noqa: S101 - settled before anybody chooses
        resource: JsonObject = loads(patient)
        if self._settled.level.of(self._quasi(resource)) not in self._settled.classes:
            self._left_out.append(str(resource["id"]))

    def plan(self) -> JsonObject:
        """Return level, classes and who is left out, as JSON."""
        assert self._settled is not None  # noqa: S101 - likewise
        level = self._settled.level
        return {
            "project": str(self._project.id),
            "k": self._project.k,
            "dates": self._project.dates,
            "today": self._today.isoformat(),
            "level": [level.years, level.regions, level.has_gender],
            "classes": [[*quasi, count] for quasi, count in self._settled.classes.items()],
            "suppressed": self._settled.suppressed,
            "left_out": self._left_out,
        }

    def _quasi(self, patient: JsonObject) -> Quasi:
        return quasi_of(patient, oldest=self._rules.oldest, today=self._today)


class ProjectWriting:
    """De-identifies by a plan; `hie.core.deidentification.Writing`."""

    def __init__(self, deidentifier: Deidentifier) -> None:
        """Take what knows how."""
        self._deidentifier = deidentifier

    def of(self, body: bytes) -> bytes | None:
        """Return what is exported of a resource, None where that is nothing."""
        made = self._deidentifier.of(loads(body))
        return None if made is None else dumps(made)


class ProjectExports:
    """Implements `hie.core.deidentification.Deidentification`."""

    def __init__(
        self,
        projects: Projects,
        clock: Clock,
        *,
        digest: DigestName,
        base_url: str,
        share: float,
    ) -> None:
        """Take the projects, the digest of pseudonyms, and the share of patients that may be left out."""
        self._projects = projects
        self._clock = clock
        self._digest = digest
        self._base_url = base_url
        self._share = share
        self._rules = load_rules()

    def reader(self, transaction: Transaction, project: str) -> Requester:
        """Return who reads for the project: a system, for the project's purpose, whose Consents it heeds."""
        found = self._projects.used(transaction, _identity(project))
        return Requester("client", f"project/{found.id}", purpose=found.purpose)

    def survey(self, transaction: Transaction, project: str) -> ProjectSurvey:
        """Return what learns the patients."""
        found = self._projects.used(transaction, _identity(project))
        return ProjectSurvey(found, self._rules, self._clock.now().date(), self._share)

    def writing(self, transaction: Transaction, project: str, plan: JsonObject) -> ProjectWriting:
        """Return what de-identifies by the plan; raises ConflictError once the project's key is destroyed."""
        found = self._projects.used(transaction, _identity(project))
        years, regions, has_gender = plan["level"]
        deidentifier = Deidentifier(
            self._rules,
            Pseudonyms(self._projects.key(found), self._digest),
            Plan(Level(years, regions, has_gender), frozenset(plan["left_out"])),
            dates=found.dates,
            today=date.fromisoformat(plan["today"]),
            base_url=self._base_url,
        )
        return ProjectWriting(deidentifier)

    def report(self, plan: JsonObject, written: Mapping[str, int]) -> JsonObject:
        """Return the report as Parameters."""
        classes = {
            Quasi(born, gender, tuple(region)): count for born, gender, region, count in plan["classes"]
        }
        years, regions, has_gender = plan["level"]
        return report(
            Settled(Level(years, regions, has_gender), classes, plan["suppressed"]),
            k=plan["k"],
            dates=plan["dates"],
            project=plan["project"],
            rules=self._rules,
            written=written,
        )


def _identity(project: str) -> UUID:
    try:
        return UUID(project)
    except ValueError as error:
        raise NotFoundError(f"There is no project `{project}`") from error
