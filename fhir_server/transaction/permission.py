"""What the requester of a batch may do with the resources that the batch meets.

Stored contents are read only when the policy asks for one, then all of the batch at once.
"""

from fhir_server.access import Access
from fhir_server.store.identity import TYPE_NAME
from fhir_server.store.lookup import Found, Key, read_bodies
from fhir_server.store.read import last_body
from fhir_server.transaction.overlay import Draft
from hie.core.access import Attempt
from hie.core.db.database import Transaction
from hie.core.fhir.json import JsonObject, loads


class Permission:
    """Asks the access policy for one batch."""

    def __init__(self, access: Access, transaction: Transaction, found: Found) -> None:
        """Take the policy, the requester's transaction and what the batch looked up."""
        self._access = access
        self._transaction = transaction
        self._found = found
        self._hidden: dict[Key, bool] = {}
        self._contents: dict[int, JsonObject | None] = {}

    def decide(self, interaction: str, key: Key, resource: JsonObject | None, draft: Draft) -> None:
        """Raise ForbiddenError unless the requester may do this to the resource `key`.

        The id of `key` is empty where criteria select nothing.
        """
        self._access.decide(
            self._transaction,
            Attempt(
                interaction, TYPE_NAME[key[0]], key[1] or None, resource, lambda: self.stored(key, draft)
            ),
        )

    def hides(self, key: Key, draft: Draft) -> bool:
        """Say whether the requester may not read the resource `key`; what this batch wrote, it may."""
        if draft.state(key).versions:
            return False
        hidden = self._hidden.get(key)
        if hidden is None:
            resource_type, resource_id = TYPE_NAME[key[0]], key[1]
            hidden = not self._access.readable(self._transaction, resource_type).is_everything and not (
                self._access.may_read(self._transaction, resource_type, resource_id, letter=None)
            )
            self._hidden[key] = hidden
        return hidden

    def stored(self, key: Key, draft: Draft) -> JsonObject | None:
        """Return the content of the resource `key` before this operation, a deleted one's last."""
        state = draft.state(key)
        for version in reversed(state.versions):
            if version.content is not None:
                return version.content
        if state.row is None:
            return None
        if state.row.rid not in self._contents:
            self._contents[state.row.rid] = self._read(state.row.rid)
        return self._contents[state.row.rid]

    def _read(self, rid: int) -> JsonObject | None:
        found = self._found
        if rid not in found.bodies:
            rids = [row.rid for row in found.rows.values() if row.rid not in found.bodies]
            read_bodies(self._transaction.connection, found, rids)
        body = found.bodies.get(rid) or last_body(self._transaction.connection, rid)
        content: JsonObject | None = None if body is None else loads(body)
        return content
