"""The state of resources as a batch of Bundles leaves it, before anything is written.

What is stored, as far as the batch looked it up, with the versions on top that
the batch will write. Each Bundle works on a `Draft`; only a draft that is kept
is seen by the Bundles after it, so that a Bundle that fails leaves no trace.
"""

from typing import NamedTuple

from fhir_server.index.rows import IndexRows
from fhir_server.store.lookup import Found, Identifier, Key, Row, Token
from hie.core.fhir.json import JsonObject, dumps, loads


class Version(NamedTuple):
    """A version to write: `content` is None for a deletion; `rows` its index rows."""

    number: int
    method: int
    content: JsonObject | None
    digest: bytes
    rows: IndexRows


class State(NamedTuple):
    """A resource: as stored (`row`, None when it never was), and the versions to write."""

    key: Key
    row: Row | None
    versions: tuple[Version, ...]

    @property
    def version(self) -> int:
        """The number of the current version, 0 when there is none."""
        if self.versions:
            return self.versions[-1].number
        return self.row.version if self.row else 0

    @property
    def is_present(self) -> bool:
        """Say whether the resource exists and is not deleted."""
        if self.versions:
            return self.versions[-1].content is not None
        return self.row is not None and not self.row.is_deleted

    def has_content(self, digest: bytes) -> bool:
        """Say whether the content of the current version has `digest`."""
        if self.versions:
            return self.versions[-1].digest == digest
        return self.row is not None and self.row.has_content(digest)


class Overlay:
    """The states of all resources that a batch touched so far."""

    def __init__(self, found: Found) -> None:
        """Begin with what is stored."""
        self.found = found
        self.states: dict[Key, State] = {}
        self.holders: dict[Token, list[Key]] = {}

    def state(self, key: Key) -> State:
        """Return the state of `key`."""
        state = self.states.get(key)
        return state or State(key, self.found.rows.get(key), ())

    def changed(self) -> list[State]:
        """Return the states that have versions to write."""
        return [state for state in self.states.values() if state.versions]


class Draft:
    """What one Bundle would change."""

    __slots__ = ("_overlay", "states")

    def __init__(self, overlay: Overlay) -> None:
        """Take the overlay that `keep` writes into."""
        self._overlay = overlay
        self.states: dict[Key, State] = {}

    def state(self, key: Key) -> State:
        """Return the state of `key` as this Bundle sees it."""
        return self.states.get(key) or self._overlay.state(key)

    def add(self, key: Key, version: Version) -> None:
        """Put a version on top of `key`."""
        state = self.state(key)
        self.states[key] = State(key, state.row, (*state.versions, version))

    def content(self, key: Key) -> JsonObject | None:
        """Return the current content of a resource whose body was read or that this batch wrote."""
        state = self.state(key)
        if state.versions:
            return state.versions[-1].content
        body = self._overlay.found.bodies.get(state.row.rid) if state.row is not None else None
        return None if body is None else loads(body)

    def is_looked_up(self, identifier: Identifier) -> bool:
        """Say whether the store was asked for `identifier`."""
        return identifier in self._overlay.found.matches

    def matches(self, identifier: Identifier) -> list[Key]:
        """Return the resources that hold `identifier` now."""
        keys = self._overlay.found.matches.get(identifier, [])
        holders = self._overlay.holders.get(identifier.token)
        if holders or self.states:
            mine = (key for key, state in self.states.items() if _holds(state, identifier))
            keys = list(dict.fromkeys([*keys, *(holders or ()), *mine]))
        return [key for key in keys if self._still_matches(key, identifier)]

    def keep(self) -> None:
        """Let the Bundles after this one see its changes."""
        overlay = self._overlay
        overlay.states.update(self.states)
        for key, state in self.states.items():
            for token in state.versions[-1].rows.token:
                if token in overlay.found.tokens:
                    overlay.holders.setdefault(Token(*token), []).append(key)

    def _still_matches(self, key: Key, identifier: Identifier) -> bool:
        state = self.state(key)
        return _holds(state, identifier) if state.versions else state.is_present


def holds(content: JsonObject | None, rows: IndexRows, identifier: Identifier) -> bool:
    """Say whether a resource has `identifier`: by its index rows, confirmed by the text of the system."""
    return identifier.token in rows.token and identifier.system_json in dumps(content)


def _holds(state: State, identifier: Identifier) -> bool:
    if not state.versions:
        return False
    version = state.versions[-1]
    return holds(version.content, version.rows, identifier)
