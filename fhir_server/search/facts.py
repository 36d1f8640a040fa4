"""Facts of access rules: asked of the database for one resource at a time, and remembered for a second.

What a rule asks of a Patient (who treats it, what it withholds) is the same for all that is about it, so a
record that is read resource by resource asks once. Only what lets pass counts from memory: a decision
that refuses is made of facts that were just asked. What decides and was changed by this process is forgotten
at once, what another changed within the second.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from psycopg import RawCursor

from fhir_server.search.conditions import Condition
from fhir_server.search.probe import probe
from fhir_server.search.ruling import Fact, Marks, Reader, Ruling, array_literal
from fhir_server.search.sql import Sql
from fhir_server.store import planner
from hie.core.db.database import Transaction

_SECONDS: Final = 1.0
_MOST_RESOURCES: Final = 65_536
# A requester has about five, new ones each day, and shares some.
_MOST_FACTS: Final = 65_536
_MOST_RULINGS: Final = 8_192
_MOST_STATEMENTS: Final = 4_096

_PLANNED_ONCE: Final = f"SELECT {planner.BEGIN}"

_Remembered = dict[Fact | None, tuple[float, bool]]


class Facts:
    """What is known of the facts of all rules in this process; safe to share between threads."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Take what measures time in seconds."""
        self._monotonic = monotonic
        self._facts: dict[tuple[int, Condition], Fact] = {}
        self._rulings: dict[tuple[int, bool], tuple[Condition, Ruling]] = {}
        self._known: dict[int, _Remembered] = {}
        self._under_way: dict[int, object] = {}

    def ruling(self, condition: Condition, type_number: int, *, has_rows: bool = True) -> Ruling:
        """Return the ruling of a rule about resources of a type; `condition` is known by its identity."""
        key = id(condition), has_rows
        found = self._rulings.get(key)
        if found is None or found[0] is not condition:
            found = condition, Reader(type_number, self._fact).read(condition, has_rows=has_rows)
            if len(self._rulings) >= _MOST_RULINGS:
                self._rulings.clear()
            self._rulings[key] = found
        return found[1]

    def decide(self, transaction: Transaction, ruling: Ruling, marks: Marks) -> bool:
        """Return whether `ruling` lets the resource with `marks`, which is not deleted, pass."""
        recalling = self.asking(transaction)
        if recalling.decides(ruling, marks):
            return True
        return recalling.has_recalled and self.asking(transaction, is_recalling=False).decides(ruling, marks)

    def asking(self, transaction: Transaction, *, is_recalling: bool = True) -> "Asking":
        """Return what knows facts for one decision: also those that are remembered if `is_recalling`."""
        return Asking(self, transaction, is_recalling=is_recalling)

    def forget(self, key_hash: int | None = None) -> None:
        """Forget what is known of one resource, of all without `key_hash`."""
        # What is being asked now is not remembered either.
        if key_hash is None:
            self._under_way.clear()
            self._known.clear()
        else:
            self._under_way.pop(key_hash, None)
            self._known.pop(key_hash, None)

    def recall(self, key_hash: int) -> Mapping[Fact | None, bool]:
        """Return what is known of a resource; where that is anything, None says that it exists."""
        known = self._known.get(key_hash)
        if known is None:
            return {}
        now = self._monotonic()
        return {fact: holds for fact, (until, holds) in list(known.items()) if now < until}

    def ask(
        self, transaction: Transaction, type_number: int, key_hash: int, facts: Sequence[Fact]
    ) -> Mapping[Fact | None, bool] | None:
        """Return which of `facts` hold of a resource, None where there is none; remember it."""
        asked = self._under_way[key_hash] = object()
        statement = _statement(tuple(facts))
        connection = transaction.connection
        if not connection.autocommit:
            # To plan it for its values takes five times as long as to answer it. The statement that writes
            # ends this, or else the transaction does.
            connection.execute(_PLANNED_ONCE)
        with RawCursor(connection) as cursor:
            cursor.execute(statement.text, (*statement.params, key_hash, type_number))
            rows = cursor.fetchmany(2)
        is_current = self._under_way.get(key_hash) is asked
        self._under_way.pop(key_hash, None)
        if len(rows) != 1:
            return None  # of two resources with one hash nobody knows which is meant
        found = dict(zip((None, *facts), rows[0], strict=True))
        # What a transaction has written may yet be rolled back: what follows from it is not remembered.
        if is_current and not transaction.has_written:
            self._remember(key_hash, found)
        return found

    def _remember(self, key_hash: int, found: Mapping[Fact | None, bool]) -> None:
        until = self._monotonic() + _SECONDS
        if len(self._known) >= _MOST_RESOURCES:
            self._known.clear()
        self._known.setdefault(key_hash, {}).update({fact: (until, holds) for fact, holds in found.items()})

    def _fact(self, type_number: int, condition: Condition) -> Fact:
        found = self._facts.get((type_number, condition))
        if found is None:
            found = Fact(type_number, probe(condition, "t"))
            if len(self._facts) >= _MOST_FACTS:
                self._facts.clear()
            self._facts[type_number, condition] = found
        return found


class Asking:
    """Says what holds for one decision: by what is remembered where it may be, else by the database."""

    def __init__(self, facts: Facts, transaction: Transaction, *, is_recalling: bool) -> None:
        """Take what remembers, and who asks; `Facts.asking` makes one."""
        self.has_recalled = False
        self._facts = facts
        self._transaction = transaction
        self._together: Mapping[int, Sequence[Fact]] = {}
        self._is_recalling = is_recalling
        self._known: dict[int, dict[Fact | None, bool]] = {}

    def decides(self, ruling: Ruling, marks: Marks) -> bool:
        """Return whether `ruling` lets the resource with `marks` pass."""
        self._together = ruling.facts
        return ruling.holds(marks, self)

    def exists(self, type_number: int, key_hash: int) -> bool:
        """Return whether there is such a resource, not deleted."""
        known = self._of(key_hash)
        if None not in known:
            known[None] = self._ask(type_number, key_hash, self._together.get(type_number, ()))
        return known[None]

    def holds(self, fact: Fact, key_hash: int) -> bool:
        """Return whether `fact` holds of a resource; of one that there is not, none does."""
        known = self._of(key_hash)
        if fact not in known:
            together = self._together.get(fact.type_number, ())
            missing = [each for each in together if each not in known] if fact in together else [fact]
            self._ask(fact.type_number, key_hash, missing)
        return known.get(fact, False)

    def _of(self, key_hash: int) -> dict[Fact | None, bool]:
        known = self._known.get(key_hash)
        if known is None:
            known = dict(self._facts.recall(key_hash)) if self._is_recalling else {}
            self._known[key_hash] = known
            self.has_recalled = self.has_recalled or bool(known)
        return known

    def _ask(self, type_number: int, key_hash: int, facts: Sequence[Fact]) -> bool:
        found = self._facts.ask(self._transaction, type_number, key_hash, facts)
        if found is None:
            return False
        self._known[key_hash].update(found)
        return True


@lru_cache(_MOST_STATEMENTS)
def _statement(facts: tuple[Fact, ...]) -> Sql:
    """Return a SELECT of true and of each of `facts`, of the resource with a key hash and a type.

    With the placeholders and arrays of PostgreSQL itself: to make them of psycopg's, each time, costs more
    than the statement.
    """
    columns = "".join(f", ({each.probe.text})" for each in facts)
    text = (
        f"SELECT true{columns} FROM resource t"  # noqa: S608 - our conditions
        " WHERE t.key_hash = %s AND t.type = %s AND NOT t.is_deleted"
    )
    first, *others = (part.replace("%%", "%") for part in text.split("%s"))
    numbered = first + "".join(f"${number}{part}" for number, part in enumerate(others, start=1))
    return Sql(numbered, tuple(_plain(param) for each in facts for param in each.probe.params))


def _plain(param: object) -> object:
    """Return `param`, of integers in a list the literal that PostgreSQL casts to their array."""
    if isinstance(param, list) and all(isinstance(each, int) for each in param):
        return array_literal(param)
    return param
