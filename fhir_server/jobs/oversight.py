"""The jobs of all requesters, for an operator: `hie.core.oversight.JobOversight`.

The access policy is asked for "$jobs" and "$cancel-job"; what the operator is then shown are the jobs of
others too, without what may hold content of a record: their files, and why a deferred search failed.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final, get_args
from uuid import UUID

from fhir_server.interactions.deferred import KIND as REQUEST
from fhir_server.jobs import queries
from fhir_server.jobs.job import Job
from fhir_server.jobs.service import Jobs
from fhir_server.service import Repository
from fhir_server.subscriptions.on_behalf import on_behalf
from hie.core.access import SYSTEM, Attempt
from hie.core.db.database import Transaction
from hie.core.errors import Issue
from hie.core.fhir.json import JsonObject
from hie.core.oversight import Group, JobDetails, JobFile, JobSummary

_GROUPS: Final[tuple[Group, ...]] = get_args(Group)


class JobsOfAll:
    """Shows and cancels jobs, whoever asked for them."""

    def __init__(self, repository: Repository, jobs: Jobs) -> None:
        """Take the repository, whose policy is asked, and the jobs of the server."""
        self._repository = repository
        self._jobs = jobs

    def counts(self, transaction: Transaction) -> Mapping[str, int]:
        """Return how many jobs are in each state."""
        self._decide(transaction, "$jobs")
        return queries.counts(transaction)

    def jobs(
        self,
        transaction: Transaction,
        *,
        states: Collection[str],
        kinds: Collection[str],
        before: tuple[datetime, UUID] | None,
        limit: int,
    ) -> Sequence[JobSummary]:
        """Return jobs, the newest first."""
        self._decide(transaction, "$jobs")
        found = queries.newest(transaction, states=states, kinds=kinds, before=before, limit=limit)
        return [JobSummary(*each) for each in found]

    def job(self, transaction: Transaction, identity: str) -> JobDetails:
        """Return one job; raises NotFoundError for one that is unknown, cancelled or past its time."""
        self._decide(transaction, "$jobs")
        with on_behalf(transaction, SYSTEM):
            job = self._jobs.find(transaction, identity)
        is_held = queries.is_held(transaction, job.id)
        is_own = transaction.requester.is_party(job.requester)
        failure: JsonObject = job.error or {}
        return JobDetails(
            JobSummary(
                job.id,
                job.kind,
                job.state,
                job.progress,
                job.attempts,
                is_held,
                job.created_at,
                job.finished_at,
                job.expires_at,
            ),
            job.request,
            _files(job),
            is_own,
            failure.get("status"),
            tuple(
                _issue(each, is_shown=is_own or job.kind != REQUEST)
                for each in failure.get("outcome", {}).get("issue", ())
            ),
        )

    def cancel(self, transaction: Transaction, identity: str) -> None:
        """Cancel a job or give up its result; raises NotFoundError."""
        self._decide(transaction, "$cancel-job")
        with on_behalf(transaction, SYSTEM):
            self._jobs.cancel(transaction, identity)

    def _decide(self, transaction: Transaction, interaction: str) -> None:
        self._repository.decide(transaction, Attempt(interaction, None))


def _files(job: Job) -> tuple[JobFile, ...]:
    """Return what the manifest lists; a job that is given up has none."""
    manifest: JsonObject = (job.output or {}).get("manifest", {})
    return tuple(
        JobFile(group, entry.get("type", ""), entry["url"], entry.get("count"))
        for group in _GROUPS
        for entry in manifest.get(group, ())
        if "url" in entry
    )


def _issue(issue: JsonObject, *, is_shown: bool) -> Issue:
    """Return the issue, without its message where that may repeat what somebody else searched for."""
    return Issue(issue["severity"], issue["code"], issue.get("diagnostics", "") if is_shown else "")
