"""Seals the bodies of versions that are about to be written, where encryption is on.

A body goes with the key of the one patient that it is about, so that it can be made unreadable with all else
of that patient. Not here: keys and envelopes (`hie.core.crypto`).
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from psycopg import Connection

from fhir_server.compartments.definitions import load_compartments
from fhir_server.index.hashing import reference_key
from fhir_server.index.rows import IndexRows
from fhir_server.store.content import keyed_digest
from fhir_server.store.identity import TYPE_NAME, TYPE_NUMBER
from fhir_server.store.write import Written
from hie.core.crypto.envelope import Place
from hie.core.crypto.text_cipher import SYSTEM, Text, cipher_of, seal_texts

_PATIENT: Final = TYPE_NUMBER["Patient"]
_REFERENCE: Final = re.compile(rb'Patient/([A-Za-z0-9.-]{1,64})["/]')


def sealed(
    connection: Connection[tuple[Any, ...]], *written: Sequence[Written]
) -> tuple[Sequence[Written], ...]:
    """Return each of `written`, which are about to be written, with the bodies as they are to be stored.

    The caller has locked the resources: whoever locks both takes keys after resources.
    """
    cipher = cipher_of(connection)
    if cipher is None or not cipher.is_on:
        return written
    digest_key = cipher.digest_key(connection)
    bodies = iter(
        seal_texts(
            connection,
            [
                Text(_place(each), scope_of(each.key[0], each.key[1], each.rows, each.body), each.body)
                for versions in written
                for each in versions
                if each.body is not None
            ],
        )
    )
    return tuple(
        [
            each
            if each.body is None
            else each._replace(body=next(bodies), digest=keyed_digest(each.digest, digest_key))
            for each in versions
        ]
        for versions in written
    )


def scope_of(kind: int, resource_id: str, rows: IndexRows, text: bytes) -> str:
    """Return whose key a body is sealed with: the one Patient whose compartment it is in, or SYSTEM.

    `rows` are its index rows, `text` its JSON. A Patient is its own, whatever it links to.
    """
    if kind == _PATIENT:
        return f"Patient/{resource_id}"
    numbers = _numbers(kind)
    keys = {key for param, key, target in rows.reference if target == _PATIENT and param in numbers}
    if len(keys) != 1:
        return SYSTEM
    (key,) = keys
    # The index has the hash of the reference only; the text has its id.
    for found in set(_REFERENCE.findall(text)):
        patient = found.decode()
        if reference_key("Patient", patient) == key:
            return f"Patient/{patient}"
    return SYSTEM


@cache
def _numbers(kind: int) -> frozenset[int]:
    """Return the reference parameters by which a resource of a type is in the compartment of a Patient."""
    return frozenset(load_compartments()["Patient"].numbers([TYPE_NAME[kind]]))


def _place(version: Written) -> Place:
    return Place(TYPE_NAME[version.key[0]], version.key[1], version.version)
