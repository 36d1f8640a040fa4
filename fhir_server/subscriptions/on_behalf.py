"""A transaction on behalf of another than who opened it: of the server, or of a subscription's owner."""

from collections.abc import Iterator
from contextlib import contextmanager

from hie.core.access import Requester
from hie.core.db.database import Transaction


@contextmanager
def on_behalf(transaction: Transaction, requester: Requester) -> Iterator[None]:
    """Have the access policy asked for `requester` inside the block."""
    before = transaction.requester
    transaction.requester = requester
    try:
        yield
    finally:
        transaction.requester = before
