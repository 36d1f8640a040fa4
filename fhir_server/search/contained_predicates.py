"""Conditions that lead into contained resources, as SQL over the table `contained`.

A chain is evaluated inside contained resources as well
(https://hl7.org/fhir/R4/search.html#contained). How the rows of contained resources stand in the
index tables says `fhir_server.index.contained`.
"""
# ruff: noqa: S608 - the text is made of names of ours, every value is a parameter

from typing import Final

from fhir_server.search.conditions import ContainedIdIs, HasInside, Inside
from fhir_server.search.sql import Sql

# Contained resources with the columns that conditions are asked of.
SOURCE: Final = "(SELECT *, rid AS seq FROM contained)"


def ids_rows(condition: ContainedIdIs, type_number: int) -> Sql:
    """Return a SELECT of (rid, seq) of the contained resources with one of the ids."""
    return Sql(
        "SELECT c.rid, c.rid AS seq FROM contained c WHERE c.type = %s AND c.id = ANY(%s::text[])",
        (type_number, list(condition.ids)),
    )


def ids_probe(condition: ContainedIdIs, of: str, row: str) -> Sql:
    """Return whether the contained resource ``of`` has one of the ids."""
    return Sql(
        f"EXISTS (SELECT 1 FROM contained {row} WHERE {row}.rid = {of}.rid"
        f" AND {row}.id = ANY(%s::text[]) OFFSET 0)",
        (list(condition.ids),),
    )


def inside_rows(condition: Inside, inner: Sql) -> Sql:
    """Return a SELECT of (rid, seq) of what points at one of `inner`, a SELECT of contained resources."""
    beside = " JOIN contained s ON s.container = c.container" if condition.param < 0 else ""
    pointing = "s.rid" if condition.param < 0 else "c.container"
    return Sql(
        f"SELECT y.rid, y.seq FROM ({inner.text}) AS i"
        f" JOIN contained c ON c.rid = i.rid AND c.type = %s{beside}"
        f" JOIN ix_reference y ON y.rid = {pointing} AND y.param = %s AND y.target_hash = c.key_hash",
        (*inner.params, condition.target, condition.param),
    )


def inside_probe(condition: Inside, inner: Sql, of: str, row: str, target: str) -> Sql:
    """Return whether ``of`` points at a contained resource ``target`` for which `inner` holds."""
    own, container = "", f"{row}.rid"
    if condition.param < 0:
        own, container = f" JOIN contained {row}o ON {row}o.rid = {row}.rid", f"{row}o.container"
    return Sql(
        f"EXISTS (SELECT 1 FROM ix_reference {row}{own} JOIN {SOURCE} {target}"
        f" ON {target}.container = {container} AND {target}.key_hash = {row}.target_hash"
        f" AND {target}.type = %s"
        f" WHERE {row}.rid = {of}.rid AND {row}.param = %s AND {inner.text})",
        (condition.target, condition.param, *inner.params),
    )


def has_inside_rows(condition: HasInside, inner: Sql) -> Sql:
    """Return a SELECT of (rid, seq) of the contained resources that one of `inner` points at."""
    beside = " JOIN contained s ON s.rid = i.rid" if condition.param < 0 else ""
    container = "s.container" if condition.param < 0 else "i.rid"
    return Sql(
        f"SELECT c.rid, c.rid AS seq FROM ({inner.text}) AS i{beside}"
        " JOIN ix_reference y ON y.rid = i.rid AND y.param = %s"
        f" JOIN contained c ON c.container = {container} AND c.key_hash = y.target_hash AND c.type = %s",
        (*inner.params, condition.param, condition.own),
    )


def has_inside_probe(condition: HasInside, inner: Sql, of: str, row: str, target: str) -> Sql:
    """Return whether something, ``row``, for which `inner` holds points at the contained resource ``of``."""
    beside, pointing = "", f"{target}.container"
    if condition.param < 0:
        beside = f" JOIN contained {target}s ON {target}s.container = {target}.container"
        pointing = f"{target}s.rid"
    return Sql(
        f"EXISTS (SELECT 1 FROM contained {target}{beside} JOIN ix_reference {row}"
        f" ON {row}.rid = {pointing} AND {row}.param = %s AND {row}.target_hash = {target}.key_hash"
        f" WHERE {target}.rid = {of}.rid AND {inner.text})",
        (condition.param, *inner.params),
    )


def correlated(question: Sql) -> Sql:
    """Return `question`, an EXISTS among alternatives, as one that is asked for each row.

    Else PostgreSQL may collect all that answers it before a page of twenty is read.
    """
    if not question.text.startswith("EXISTS (") or question.text.endswith(" OFFSET 0)"):
        return question
    return Sql(f"{question.text[:-1]} OFFSET 0)", question.params)
