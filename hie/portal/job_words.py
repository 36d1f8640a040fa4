"""A job in the words of its page: what was asked without its values, and how far it is.

Pure. What somebody searched for may be a patient's name or number, so that of a request only what says
which work it is remains: resource types, operations, and the parameters that hold no value of a record.
"""

import re
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from hie.core.fhir.structure import resource_types
from hie.core.oversight import JobSummary
from hie.portal.language import Language, say

HIDDEN: Final = "…"
# A worker looks for work more than once a second.
_PATIENCE: Final = timedelta(minutes=1)
# https://hl7.org/fhir/uv/bulkdata/STU2/export.html#query-parameters and what names no content of a record.
_PLAIN: Final = frozenset(
    {
        "_count",
        "_elements",
        "_format",
        "_since",
        "_summary",
        "_type",
        "_until",
        "_outputFormat",
        "allowPartialManifests",
        "includeAssociatedData",
        "organizeOutputBy",
    }
)
_NUMBER: Final = r"([\d,]+)"
# What the kinds of jobs say of themselves (`fhir_server.bulk`, `fhir_server.jobs`), and the text of it.
_PROGRESS: Final = (
    (re.compile(rf"{_NUMBER} of {_NUMBER} resources written"), "progress.written"),
    (re.compile(rf"{_NUMBER} files read"), "progress.files"),
    (re.compile(rf"{_NUMBER} resources read"), "progress.read"),
    (re.compile(rf"{_NUMBER} resources indexed"), "progress.indexed"),
    (re.compile(rf"waiting for {_NUMBER} transactions to end"), "progress.writers"),
    (re.compile(r"waiting after (\w+)"), "progress.after"),
    (re.compile(r"waiting for a worker"), "progress.waiting"),
    (re.compile(r"the answer is written"), "progress.answered"),
)


def request_of(url: str) -> str:
    """Return path and query of `url` with every id and value that could be a patient's as an ellipsis."""
    parts = urlsplit(url)
    kept = resource_types() | {"fhir"}
    path = "/".join(
        each if each in kept or each[:1] in ("$", "_", "") else HIDDEN for each in parts.path.split("/")
    )
    query = "&".join(
        f"{name}={value if name in _PLAIN else HIDDEN}"
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    return f"{path}?{query}" if query else path


def progress(text: str, language: Language) -> str:
    """Return the server's words for how far a job is, in `language`; words not known stay as they are."""
    for pattern, key in _PROGRESS:
        found = pattern.fullmatch(text)
        if found:
            names = ("n", "of")[: len(found.groups())]
            return say(key, language, **dict(zip(names, found.groups(), strict=True)))
    return text


def share(text: str) -> tuple[int, int] | None:
    """Return how many of how many are done, None where the words do not say it."""
    found = _PROGRESS[0][0].fullmatch(text)
    if found is None:
        return None
    done, of = (int(each.replace(",", "")) for each in found.groups())
    return (done, of) if of else None


def is_left_alone(job: JobSummary, now: datetime) -> bool:
    """Say whether a job that should be worked is worked by nobody: no worker runs, or all are taken."""
    if job.state == "queued":
        return now - job.created_at > _PATIENCE
    return job.state == "running" and not job.is_held
