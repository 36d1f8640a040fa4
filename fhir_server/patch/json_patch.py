"""JSON Patch on a resource (https://www.rfc-editor.org/rfc/rfc6902, https://hl7.org/fhir/R4/http.html#patch).

Decimals keep the digits they were written with, and ``test`` compares numbers by value. All operations are
applied or none: the resource that is given never changes. Whether the result is a valid resource is not
looked at.
"""

from collections.abc import Callable
from typing import Final

from fhir_server.patch.json_copy import copied, size_of
from fhir_server.patch.json_pointer import index_in, pointer_of, tokens_of, value_at
from hie.core.fhir.json import Json, JsonObject
from hie.core.fhirpath.equality import canonical
from hie.core.language_errors import PatchError, PatchSyntaxError, PatchTestError

# Thirty copies of a document into itself would make a thousand million values.
_MOST_COPIED: Final = 200_000
_LONGEST_PATCH: Final = 10_000

_Work = Callable[["_Document", JsonObject], None]


def apply_json_patch(resource: JsonObject, patch: Json) -> JsonObject:
    """Return `resource` with `patch` applied.

    Raises PatchSyntaxError where `patch` is no JSON Patch, PatchTestError where a test fails, PatchError
    where an operation cannot be done; each names the operation, from 0, and its path.
    """
    if not isinstance(patch, list):
        raise PatchSyntaxError("A JSON Patch is an array of operations")
    if len(patch) > _LONGEST_PATCH:
        raise PatchSyntaxError(f"The JSON Patch has {len(patch)} operations; {_LONGEST_PATCH} are taken")
    document = _Document(resource)
    for number, operation in enumerate(patch):
        try:
            _apply(document, operation)
        except PatchError as error:
            path = operation.get("path") if isinstance(operation, dict) else None
            what = (
                f"Operation {number} (`{operation.get('op')}` at `{path}`)"
                if path is not None
                else f"Operation {number}"
            )
            raise type(error)(f"{what}: {error.message}") from error
        except RecursionError as error:
            raise PatchError(f"Operation {number} nests the resource too deeply") from error
    if not isinstance(document.root, dict):
        raise PatchError("The patch does not leave a resource")
    return document.root


class _Document:
    """The JSON under work: a copy of the resource."""

    def __init__(self, resource: JsonObject) -> None:
        self.root: Json = copied(resource)
        self.copied = 0

    def add(self, tokens: list[str], value: Json) -> None:
        if not tokens:
            self.root = value
            return
        parent, last = value_at(self.root, tokens[:-1]), tokens[-1]
        if isinstance(parent, dict):
            parent[last] = value
        elif isinstance(parent, list):
            parent.insert(index_in(parent, last, tokens, may_be_end=True), value)
        else:
            raise PatchError(f"`{pointer_of(tokens[:-1])}` is neither an object nor an array")

    def remove(self, tokens: list[str]) -> Json:
        value = value_at(self.root, tokens)
        if not tokens:
            raise PatchError("the whole resource cannot be removed")
        parent, last = value_at(self.root, tokens[:-1]), tokens[-1]
        del parent[last if isinstance(parent, dict) else int(last)]
        return value

    def replace(self, tokens: list[str], value: Json) -> None:
        value_at(self.root, tokens)
        if not tokens:
            self.root = value
            return
        parent, last = value_at(self.root, tokens[:-1]), tokens[-1]
        parent[last if isinstance(parent, dict) else int(last)] = value


def _apply(document: _Document, operation: Json) -> None:
    if not isinstance(operation, dict):
        raise PatchSyntaxError("an operation is an object")
    work = _WORK.get(operation["op"]) if isinstance(operation.get("op"), str) else None
    if work is None:
        raise PatchSyntaxError(f"`op` is one of {', '.join(_WORK)}")
    work(document, operation)


def _pointer(operation: JsonObject, name: str) -> list[str]:
    pointer = operation.get(name)
    if not isinstance(pointer, str):
        raise PatchSyntaxError(f"`{name}` is missing or is no text")
    return tokens_of(pointer)


def _value(operation: JsonObject) -> Json:
    if "value" not in operation:
        raise PatchSyntaxError("`value` is missing")
    return operation["value"]


def _add(document: _Document, operation: JsonObject) -> None:
    document.add(_pointer(operation, "path"), copied(_value(operation)))


def _remove(document: _Document, operation: JsonObject) -> None:
    document.remove(_pointer(operation, "path"))


def _replace(document: _Document, operation: JsonObject) -> None:
    document.replace(_pointer(operation, "path"), copied(_value(operation)))


def _move(document: _Document, operation: JsonObject) -> None:
    source, target = _pointer(operation, "from"), _pointer(operation, "path")
    if len(target) > len(source) and target[: len(source)] == source:
        raise PatchError(f"`{pointer_of(source)}` cannot be moved into itself")
    if source == target:
        value_at(document.root, source)
        return
    document.add(target, document.remove(source))


def _copy(document: _Document, operation: JsonObject) -> None:
    value = value_at(document.root, _pointer(operation, "from"))
    document.copied += size_of(value)
    if document.copied > _MOST_COPIED:
        raise PatchError(f"the patch copies more than {_MOST_COPIED} values")
    document.add(_pointer(operation, "path"), copied(value))


def _test(document: _Document, operation: JsonObject) -> None:
    path = _pointer(operation, "path")
    if canonical(value_at(document.root, path)) != canonical(_value(operation)):
        raise PatchTestError("the value there is another")


_WORK: Final[dict[str, _Work]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
