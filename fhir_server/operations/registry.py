"""Every operation of the server, found by walking this package: a module that exports one has mounted it."""

import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib import import_module

import fhir_server.operations
from fhir_server.interactions.server import Server
from fhir_server.operations.operation import Level, Operation
from hie.core.errors import ConfigurationError


@cache
def load_operations() -> tuple[Operation, ...]:
    """Return the operations of all modules of the package, sorted by code and canonical.

    Raises ConfigurationError when two claim one code at one level of one type.
    """
    found = [operation for name in _module_names() for operation in _exported(name)]
    taken: dict[tuple[str, Level, str], str] = {}
    for operation in found:
        definition = operation.definition
        for level in definition.levels:
            for resource_type in definition.types or ("",):
                key = (definition.code, level, "" if level == "system" else resource_type)
                if taken.setdefault(key, definition.url) != definition.url:
                    raise ConfigurationError(f"${definition.code} is defined twice at {level} level")
    return tuple(sorted(found, key=lambda each: (each.definition.code, each.definition.url)))


def available(server: Server) -> tuple[Operation, ...]:
    """Return the operations that `server` has what it takes for."""
    return tuple(operation for operation in load_operations() if operation.is_available(server))


def find(code: str, level: Level, resource_type: str | None) -> Operation | None:
    """Return the operation ``$code`` at `level`; one that names `resource_type` goes before one for all."""
    serving = [each for each in _by_code().get(code, ()) if each.definition.serves(level, resource_type)]
    return min(serving, key=lambda each: not each.definition.types, default=None)


@cache
def _by_code() -> dict[str, list[Operation]]:
    found: dict[str, list[Operation]] = {}
    for operation in load_operations():
        found.setdefault(operation.definition.code, []).append(operation)
    return found


def _module_names() -> Iterator[str]:
    for module in pkgutil.iter_modules(fhir_server.operations.__path__):
        yield f"{fhir_server.operations.__name__}.{module.name}"


def _exported(name: str) -> tuple[Operation, ...]:
    module = import_module(name)
    one = getattr(module, "OPERATION", None)
    several: tuple[Operation, ...] = getattr(module, "OPERATIONS", ())
    return several if one is None else (one, *several)
