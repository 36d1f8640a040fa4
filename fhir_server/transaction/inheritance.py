"""Security labels of what is written that come from what it is derived from, stored or of the same batch.

A report carries the labels of its results, a prescription those of the Condition that it treats. What was
derived before its source got a label is not seen here (`hie.policy.label_spread`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from psycopg import Connection

from fhir_server.index.hashing import hash32, hash64, param_id
from fhir_server.ports import ResourceIndexer
from fhir_server.store.arrays import SmallInts, Texts
from fhir_server.store.content import canonical, digest_of
from fhir_server.store.identity import TYPE_NAME, TYPE_NUMBER
from fhir_server.transaction.overlay import Overlay, State
from hie.core.fhir.json import JsonObject
from hie.core.labels import Labeller

Label = tuple[str, str]

# The index tells the labels, so that no body is read. OFFSET 0 keeps each look-up a walk down an index.
_LABELS: Final = """
SELECT k.type, k.id, t.code_hash, t.system_hash
FROM unnest(%s, %s) AS k (type, id)
CROSS JOIN LATERAL (
    SELECT rid FROM resource WHERE type = k.type AND id = k.id AND NOT is_deleted OFFSET 0
) AS r
JOIN ix_token t ON t.rid = r.rid AND t.param = ANY(%s)
"""


def inherit(connection: Connection[tuple[object, ...]], overlay: Overlay, rules: "Inheriting") -> None:
    """Have the newest versions of `overlay` carry the labels of what they are derived from."""
    labeller = rules.labeller
    contents = {
        f"{TYPE_NAME[state.key[0]]}/{state.key[1]}": (state, content)
        for state in overlay.changed()
        if (content := state.versions[-1].content) is not None
    }
    sources = {name: found for name, (_, content) in contents.items() if (found := labeller.sources(content))}
    if not sources:
        return
    outside = {each for found in sources.values() for each in found if each not in contents}
    labels = _stored_labels(connection, outside, labeller.known)
    for name, (_, content) in contents.items():
        labels[name] = _labels_of(content) & labeller.known
    gained = _gained(sources, labels)
    for name, new in gained.items():
        state, content = contents[name]
        overlay.states[state.key] = _relabelled(
            state, labeller.inherited(content, sorted(new)), rules.indexer
        )


class Inheriting:
    """What inheriting needs: what knows labels, and what makes the index rows of a version anew."""

    __slots__ = ("indexer", "labeller")

    def __init__(self, labeller: Labeller, indexer: ResourceIndexer) -> None:
        """Take the parts."""
        self.labeller = labeller
        self.indexer = indexer


def _gained(sources: Mapping[str, Sequence[str]], labels: dict[str, set[Label]]) -> dict[str, set[Label]]:
    """Return the labels that each gets; a source may itself get some from its own."""
    gained: dict[str, set[Label]] = {}
    is_settled = False
    while not is_settled:
        is_settled = True
        for name, found in sources.items():
            new = set().union(*(labels.get(each, ()) for each in found)) - labels[name]
            if new:
                is_settled = False
                labels[name] |= new
                gained.setdefault(name, set()).update(new)
    return gained


def _relabelled(state: State, content: JsonObject, indexer: ResourceIndexer) -> State:
    version = state.versions[-1]._replace(
        content=content, digest=digest_of(canonical(content)), rows=indexer.index(content)
    )
    return state._replace(versions=(*state.versions[:-1], version))


def _labels_of(content: JsonObject) -> set[Label]:
    labels = content.get("meta", {}).get("security", ())
    return {(each.get("system", ""), each.get("code", "")) for each in labels}


def _stored_labels(
    connection: Connection[tuple[object, ...]], references: Iterable[str], known: frozenset[Label]
) -> dict[str, set[Label]]:
    """Return the labels of `known` that the current resources among `references` carry."""
    keys = [
        (TYPE_NUMBER[kind], resource_id)
        for kind, _, resource_id in (each.partition("/") for each in references)
        if kind in TYPE_NUMBER
    ]
    if not keys:
        return {}
    params = sorted({param_id(TYPE_NAME[kind], "_security") for kind, _ in keys})
    by_hash = {(hash64(code), hash32(system)): (system, code) for system, code in known}
    rows = connection.execute(
        _LABELS, (SmallInts([kind for kind, _ in keys]), Texts([each for _, each in keys]), params)
    )
    labels: dict[str, set[Label]] = {}
    for kind, resource_id, code, system in rows:
        label = by_hash.get((code, system))  # type: ignore[arg-type] # columns of integers
        if label is not None:
            labels.setdefault(f"{TYPE_NAME[kind]}/{resource_id}", set()).add(label)  # type: ignore[index] # likewise
    return labels
