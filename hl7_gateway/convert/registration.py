"""Imports every module that registers conditions, segment functions, keys and completions for maps.

A new domain is a new module beside the others; its name's beginning says what it registers.
"""

import importlib
import pkgutil
from functools import cache

import hl7_gateway.convert

_PREFIXES = ("conditions_", "functions_", "keys_", "completion_")


@cache
def load() -> None:
    """Import the modules once."""
    for module in pkgutil.iter_modules(hl7_gateway.convert.__path__):
        if module.name.startswith(_PREFIXES):
            importlib.import_module(f"hl7_gateway.convert.{module.name}")
