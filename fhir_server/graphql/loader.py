"""What an execution reads from the repository, a level of references in one query.

An execution that meets a resource which is not here yet asks for it and goes on; when it has met all that
it can see, `load` reads what was asked for, and the execution runs again, further. So the references of a
level, of how many resources ever, cost one query, as do the searches that can be done together; and none is
done twice.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from fhir_server.graphql.document import Place
from fhir_server.graphql.limits import Limits
from fhir_server.interactions.server import Server
from fhir_server.store.identity import is_id
from hie.core.db.database import Transaction
from hie.core.errors import ExchangeError
from hie.core.fhir.json import JsonObject, loads
from hie.core.language_errors import GraphQLLimitError

_T = TypeVar("_T")
_Key = TypeVar("_Key", bound=Hashable)

Target = tuple[str, str, int | None]
"""Type, id and version, None for the current one, of a resource."""


class Pending:
    """Stands for what will be here when the execution runs again."""


PENDING: Final = Pending()


@dataclass(frozen=True, slots=True)
class Together(Generic[_Key, _T]):
    """How searches that have `group` in common are done at once.

    `find` takes their keys and returns what is found for each; those it leaves out are done alone.
    """

    group: Hashable
    find: Callable[[Sequence[_Key]], Mapping[_Key, _T]]


@dataclass(frozen=True, slots=True)
class _Asked:
    search: Callable[[], object]
    place: Place
    together: Together[Hashable, object] | None


class Loader:
    """What one request has read so far."""

    def __init__(self, server: Server, transaction: Transaction, limits: Limits) -> None:
        """Take where to read, in which transaction, and the limits."""
        self.server = server
        self.transaction = transaction
        self._limits = limits
        self._resources: dict[Target, JsonObject | None] = {}
        self._wanted: dict[Target, None] = {}
        self._found: dict[Hashable, object] = {}
        self._asked: dict[Hashable, _Asked] = {}
        self._searches = 0

    def resource(self, target: Target) -> JsonObject | Pending | None:
        """Return the resource `target`, None where there is none that the requester may read."""
        if target in self._resources:
            return self._resources[target]
        if not is_id(target[1]):
            return None
        self._wanted[target] = None
        return PENDING

    def search(
        self,
        key: _Key,
        search: Callable[[], _T],
        place: Place,
        together: Together[_Key, _T] | None = None,
    ) -> _T | Pending:
        """Return what `search` gives, done once for one `key`."""
        if key in self._found:
            return self._found[key]  # type: ignore[return-value] # one key stands for one search
        self._asked[key] = _Asked(search, place, together)  # type: ignore[arg-type] # of this key
        return PENDING

    @property
    def is_waiting(self) -> bool:
        """Say whether something was asked for that is not here yet."""
        return bool(self._wanted or self._asked)

    def load(self) -> None:
        """Read all that was asked for; raises GraphQLLimitError and what the searches raise."""
        current = [(kind, identity) for kind, identity, version in self._wanted if version is None]
        if current:
            for stored in self.server.repository.read_all(self.transaction, current):
                self._resources[stored.type, stored.id, None] = loads(stored.body or b"null")
        for target in self._wanted:
            if target[2] is not None:
                self._resources[target] = self._version(*target)
            self._resources.setdefault(target, None)
        self._wanted.clear()
        asked, self._asked = self._asked, {}
        groups: dict[Hashable, dict[Hashable, _Asked]] = {}
        for key, each in asked.items():
            groups.setdefault(each.together.group if each.together else key, {})[key] = each
        for group in groups.values():
            self._search_group(group)

    def _search_group(self, group: Mapping[Hashable, _Asked]) -> None:
        first = next(iter(group.values()))
        if len(group) > 1 and first.together is not None:
            self._count(first.place)
            self._found |= first.together.find(list(group))
        for key, each in group.items():
            if key not in self._found:
                self._count(each.place)
                self._found[key] = each.search()

    def _count(self, place: Place) -> None:
        self._searches += 1
        if self._searches > self._limits.searches:
            raise GraphQLLimitError(
                f"The request takes more than {self._limits.searches} searches", place=place
            )

    def _version(self, resource_type: str, resource_id: str, version: int | None) -> JsonObject | None:
        try:
            stored = self.server.repository.vread(self.transaction, resource_type, resource_id, version or 0)
        except ExchangeError:  # never there, deleted, or not for this requester
            return None
        found: JsonObject = loads(stored.body or b"null")
        return found
