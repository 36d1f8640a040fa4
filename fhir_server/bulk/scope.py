"""Which resources an export holds, as SELECTs of (rid, seq).

System: all; Patient and Group: the Patients and what is in their compartments
(https://hl7.org/fhir/R4/compartmentdefinition-patient.html), and Provenance about any of that. Each
builds on `Repository.selection`, which lets through what the requester may read.
"""
# ruff: noqa: S608 - the text is made of names of ours, every value is a parameter

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from fhir_server.bulk.kick_off import KickOff
from fhir_server.compartments.definitions import load_compartments
from fhir_server.index.hashing import param_id, reference_key
from fhir_server.search.sql import Sql, any_of
from fhir_server.service import Repository
from fhir_server.store.identity import TYPE_NUMBER
from hie.core.db.database import Transaction
from hie.core.errors import NotFoundError, ParameterValueError
from hie.core.fhir.json import JsonObject, loads

PROVENANCE: Final = "Provenance"
_TARGET: Final = param_id(PROVENANCE, "target")
_RECORDED: Final = param_id(PROVENANCE, "recorded")


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose resources are exported: `patients` are the keys of Patients, None for all of them."""

    kick_off: KickOff
    patients: tuple[str, ...] | None

    @property
    def types(self) -> tuple[str, ...]:
        """The types that are exported."""
        if self.kick_off.types:
            return self.kick_off.types
        return tuple(TYPE_NUMBER) if self.is_system else load_compartments()["Patient"].types

    @property
    def is_system(self) -> bool:
        """Say whether the export is not about patients."""
        return self.kick_off.level == "system"

    def member(self, resource_type: str, row: str) -> Sql | None:
        """Return whether a row of `resource` of the type belongs to the patients; None when all do."""
        if self.is_system:
            return None
        if resource_type == "Patient":
            if self.patients is None:
                return None
            return Sql(f"{row}.key_hash = ANY(%s::bigint[])", (self._keys(),))
        ways = [self._refers(row, load_compartments()["Patient"].numbers([resource_type]))]
        if resource_type == PROVENANCE:
            ways.append(self._is_about(row))
        return any_of(ways)

    def _keys(self) -> list[int]:
        return [reference_key("Patient", identity) for identity in self.patients or ()]

    def _refers(self, row: str, params: Sequence[int]) -> Sql:
        """Return whether the row refers to one of the patients by one of `params`."""
        if self.patients is None:
            return Sql(
                f"{row}.rid IN (SELECT x.rid FROM ix_reference x"
                " WHERE x.param = ANY(%s::integer[]) AND x.target_type = %s)",
                (list(params), TYPE_NUMBER["Patient"]),
            )
        return Sql(
            f"{row}.rid IN (SELECT x.rid FROM ix_reference x"
            " WHERE x.param = ANY(%s::integer[]) AND x.target_hash = ANY(%s::bigint[]))",
            (list(params), self._keys()),
        )

    def _is_about(self, row: str) -> Sql:
        """Return whether the Provenance is about a resource that belongs to the patients."""
        compartment = load_compartments()["Patient"]
        inside = any_of(
            [
                self._refers("t", compartment.numbers(compartment.types)),
                Sql("t.key_hash = ANY(%s::bigint[])", (self._keys(),))
                if self.patients is not None
                else Sql("t.type = %s", (TYPE_NUMBER["Patient"],)),
            ]
        )
        return Sql(
            f"{row}.rid IN (SELECT x.rid FROM ix_reference x JOIN resource t ON t.key_hash = x.target_hash"
            f" WHERE x.param = %s AND {inside.text})",
            (_TARGET, *inside.params),
        )


def scope_of(repository: Repository, transaction: Transaction, kick_off: KickOff, base_url: str) -> Scope:
    """Return the scope; `base_url` is that of references to this server.

    Raises NotFoundError for a group that does not exist, ParameterValueError for a patient outside of it.
    """
    members: set[str] | None = None
    if kick_off.group is not None:
        members = set(_members(repository, transaction, kick_off.group, base_url))
    elif kick_off.patients:
        members = _readable(repository, transaction, kick_off.patients)
    for identity in kick_off.patients:
        if members is not None and identity not in members:
            where = f"`Group/{kick_off.group}`" if kick_off.group else "the server"
            raise ParameterValueError(f"`Patient/{identity}` is not in {where}", expression="patient")
    if kick_off.patients:
        return Scope(kick_off, kick_off.patients)
    return Scope(kick_off, None if members is None else tuple(sorted(members)))


def selection(repository: Repository, transaction: Transaction, scope: Scope, resource_type: str) -> Sql:
    """Return the SELECT of (rid, seq) of what the export holds of `resource_type`, each once.

    Raises RequestError for a `_typeFilter` that cannot be evaluated.
    """
    kick_off = scope.kick_off
    filters = [each.parameters for each in kick_off.filters if each.type == resource_type]
    found = [repository.selection(transaction, resource_type, each) for each in filters or [()]]
    text = " UNION ".join(f"({each.text})" for each in found)
    params = [param for each in found for param in each.params]
    where = []
    if kick_off.since is not None:
        where.append(Sql("r.last_updated > %s", (kick_off.since,)))
    member = scope.member(resource_type, "r")
    if member is not None:
        where.append(member)
    if not where:
        return Sql(text if len(found) > 1 else found[0].text, tuple(params))
    conditions = " AND ".join(each.text for each in where)
    return Sql(
        f"SELECT r.rid, r.seq FROM ({text}) AS s JOIN resource r ON r.rid = s.rid WHERE {conditions}",
        (*params, *(param for each in where for param in each.params)),
    )


def associated(found: Sql, keys_table: str, *, is_latest: bool) -> Sql:
    """Return those Provenance of `found` that are about a resource whose key is in `keys_table`.

    With `is_latest` only the most recent of each resource: by `recorded`, then by version.
    """
    if not is_latest:
        return Sql(
            f"SELECT s.rid, s.seq FROM ({found.text}) AS s WHERE s.rid IN (SELECT x.rid"
            f" FROM ix_reference x JOIN {keys_table} k ON k.key_hash = x.target_hash WHERE x.param = %s)",
            (*found.params, _TARGET),
        )
    return Sql(
        "SELECT DISTINCT p.rid, p.seq FROM (SELECT DISTINCT ON (x.target_hash) s.rid, s.seq"
        f" FROM ({found.text}) AS s JOIN ix_reference x ON x.rid = s.rid AND x.param = %s"
        f" JOIN {keys_table} k ON k.key_hash = x.target_hash"
        " LEFT JOIN ix_date d ON d.rid = s.rid AND d.param = %s"
        " ORDER BY x.target_hash, d.lo DESC NULLS LAST, s.seq DESC) AS p",
        (*found.params, _TARGET, _RECORDED),
    )


def _members(repository: Repository, transaction: Transaction, group: str, base_url: str) -> Iterator[str]:
    """Return the ids of the Patients who are members, of groups inside the group too."""
    waiting, seen = [group], {group}
    while waiting:
        identity = waiting.pop()
        try:
            stored = repository.read(transaction, "Group", identity)
        except NotFoundError:
            if identity == group:
                raise
            continue
        resource: JsonObject = loads(stored.body or b"{}")
        for member in resource.get("member", ()):
            reference = member.get("entity", {}).get("reference", "")
            kind, _, name = reference.removeprefix(f"{base_url}/").partition("/_history/")[0].partition("/")
            if member.get("inactive") is True:
                continue
            if kind == "Patient":
                yield name
            elif kind == "Group" and name not in seen:
                seen.add(name)
                waiting.append(name)


def _readable(repository: Repository, transaction: Transaction, patients: Sequence[str]) -> set[str]:
    found = repository.selection(transaction, "Patient", [("_id", ",".join(patients))])
    rows = transaction.connection.execute(
        f"SELECT r.id FROM ({found.text}) AS s JOIN resource r ON r.rid = s.rid", found.params
    )
    return {row[0] for row in rows}
