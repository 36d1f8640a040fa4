"""The messages of the journal as they are kept: sealed where encryption is on, with all that quotes them.

A message goes with the key of the one patient that it was stored for. The journal's columns keep what an
operator needs to see of it: classes and places of errors, no text. Not here: the rows
(`hl7_gateway.journal`).
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson
from psycopg import Connection

from hie.core.crypto.envelope import Place
from hie.core.crypto.text_cipher import Stored, Text, cipher_of, open_texts, seal_texts
from hie.core.fhir.json import JsonObject

_RAW: Final = "journal"
_DETAILS: Final = "journal-details"
_VERSION: Final = 1
# Of an error, what quotes no value.
_PLACES: Final = ("class", "condition", "location", "expression")


class Message(NamedTuple):
    """A message and what is said of it; `digest` is that of its bytes, `scope` whose key it goes with."""

    digest: bytes
    scope: str
    raw: bytes
    error: JsonObject | None
    report: JsonObject | None


class Kept(NamedTuple):
    """The columns of one message."""

    raw: bytes
    is_sealed: bool
    details: bytes | None
    error: JsonObject | None
    report: JsonObject | None


def envelopes(connection: Connection[tuple[Any, ...]], messages: Sequence[Message]) -> list[Kept]:
    """Return what the journal keeps of `messages`; the keys are held until the transaction ends."""
    cipher = cipher_of(connection)
    if cipher is None or not cipher.is_on:
        return [
            Kept(each.raw, is_sealed=False, details=None, error=each.error, report=each.report)
            for each in messages
        ]
    texts: list[Text] = []
    for each in messages:
        texts.append(Text(_place(_RAW, each.digest), each.scope, each.raw))
        if _has_details(each):
            said = orjson.dumps({"error": each.error, "report": each.report})
            texts.append(Text(_place(_DETAILS, each.digest), each.scope, said))
    made = iter(seal_texts(connection, texts))
    return [
        Kept(
            next(made),
            is_sealed=True,
            details=next(made) if _has_details(each) else None,
            error=_shown(each.error),
            report=None,
        )
        for each in messages
    ]


def opened(connection: Connection[tuple[Any, ...]], digest: bytes, kept: Kept) -> Kept:
    """Return the columns as they are without encryption; raises KeyDestroyedError or CiphertextError."""
    if not kept.is_sealed:
        return kept
    stored = [Stored(_place(_RAW, digest), kept.raw)]
    if kept.details is not None:
        stored.append(Stored(_place(_DETAILS, digest), kept.details))
    raw, *details = open_texts(connection, stored)
    said: JsonObject = orjson.loads(details[0]) if details else {}
    return Kept(
        raw, is_sealed=False, details=None, error=said.get("error") or kept.error, report=said.get("report")
    )


def _has_details(message: Message) -> bool:
    return bool(message.error or message.report)


def _shown(error: JsonObject | None) -> JsonObject | None:
    return error and {name: value for name, value in error.items() if name in _PLACES}


def _place(kind: str, digest: bytes) -> Place:
    return Place(kind, digest.hex(), _VERSION)
