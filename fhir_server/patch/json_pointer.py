"""JSON Pointer: a path into JSON (https://www.rfc-editor.org/rfc/rfc6901)."""

import re
from typing import Final

from hie.core.fhir.json import Json
from hie.core.language_errors import PatchError, PatchSyntaxError

# No leading zeros: RFC 6901, section 4.
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_BAD_ESCAPE: Final = re.compile(r"~(?![01])")


def tokens_of(pointer: str) -> list[str]:
    """Return the reference tokens of `pointer`, none for the whole document. Raises PatchSyntaxError."""
    if pointer == "":
        return []
    if not pointer.startswith("/") or _BAD_ESCAPE.search(pointer):
        raise PatchSyntaxError(f"`{pointer}` is not a JSON Pointer")
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer[1:].split("/")]


def value_at(document: Json, tokens: list[str]) -> Json:
    """Return the value that `tokens` lead to. Raises PatchError where there is none."""
    value = document
    for depth, token in enumerate(tokens):
        if isinstance(value, dict):
            if token not in value:
                raise PatchError(f"`{pointer_of(tokens[: depth + 1])}` does not exist")
            value = value[token]
        elif isinstance(value, list):
            value = value[index_in(value, token, tokens[: depth + 1])]
        else:
            raise PatchError(f"`{pointer_of(tokens[:depth])}` is neither an object nor an array")
    return value


def index_in(values: list[Json], token: str, path: list[str], *, may_be_end: bool = False) -> int:
    """Return the index that `token` is in `values`; where `may_be_end`, also the one after the last, ``-``.

    Raises PatchError where the array has none.
    """
    if may_be_end and token == "-":  # noqa: S105 # a token of a path
        return len(values)
    if not _INDEX.fullmatch(token):
        raise PatchError(f"`{pointer_of(path)}` does not exist: `{token}` is no index of an array")
    index = int(token)
    if index >= len(values) + may_be_end:
        raise PatchError(f"`{pointer_of(path)}` does not exist: the array has {len(values)} items")
    return index


def pointer_of(tokens: list[str]) -> str:
    """Return the JSON Pointer of `tokens`."""
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)
