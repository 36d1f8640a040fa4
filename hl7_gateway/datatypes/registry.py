"""The data-type functions by name, as map files name them (`as: CX_Identifier`).

A name is the v2 data type, an underscore and the FHIR data type, after the IG's map names (`CX[Identifier]`).
This module holds no conversion itself; one module for each v2 data type does.

https://build.fhir.org/ig/HL7/v2-to-fhir/datatype_maps.html
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, partial
from types import MappingProxyType
from typing import Any, Literal, TypeVar

import hl7_gateway.datatypes
from hie.core.errors import ConfigurationError
from hie.core.fhir.json import JsonObject
from hl7_gateway.datatypes.context import Context
from hl7_gateway.er7.message import Repetition

Value = JsonObject | list[JsonObject] | str | int | bool | Decimal | None
Convert = Callable[[Repetition, Context], Value]
OfText = Callable[[str, Context], Value]

# A component by its number (its first sub-component), or a component with the numbers of its sub-components;
# "all" is the whole repetition.
Uses = tuple[int | tuple[int, tuple[int, ...]], ...] | Literal["all"]

_F = TypeVar("_F", bound=Callable[..., Any])

_registered: dict[str, "DataType"] = {}


@dataclass(frozen=True, slots=True)
class DataType:
    """One function from a v2 data type to a FHIR data type.

    `uses` are the places that find their way into the result whenever they are filled; any other filled
    place is for the engine to report, and so is one that the function gives to `Context.drop`.
    `takes_concept_map` and `takes_namespace` say which parameters `bind` accepts.
    """

    name: str
    function: Callable[..., Value]
    uses: Uses
    takes_concept_map: bool
    takes_namespace: bool
    of_text: OfText | None = None
    """What the function makes of a repetition that is one text: those that read nothing else may have it."""

    def bind(self, *, concept_map: str | None = None, namespace: str | None = None) -> Convert:
        """Return the function with its parameters settled.

        `concept_map` names the IG's code-system map of the row; `namespace` names the sender's namespace of
        identifiers that carry no assigning authority. Raises ConfigurationError for what it does not take.
        """
        given: dict[str, str] = {}
        for parameter, argument, taken in (
            ("concept_map", concept_map, self.takes_concept_map),
            ("namespace", namespace, self.takes_namespace),
        ):
            if argument is None:
                continue
            if not taken:
                raise ConfigurationError(f"The data type function `{self.name}` takes no {parameter}")
            given[parameter] = argument
        return partial(self.function, **given) if given else self.function


def datatype(name: str, *, uses: Uses, of_text: OfText | None = None) -> Callable[[_F], _F]:
    """Register the decorated function as `name`; one function may carry several names. See DataType."""

    def register(function: _F) -> _F:
        if name in _registered:
            raise ConfigurationError(f"The data type function `{name}` is registered twice")
        parameters = function.__code__.co_varnames[: function.__code__.co_argcount]
        _registered[name] = DataType(
            name, function, uses, "concept_map" in parameters, "namespace" in parameters, of_text
        )
        return function

    return register


@cache
def datatypes() -> Mapping[str, DataType]:
    """Return every data-type function by its name; imports their modules at the first call."""
    for module in pkgutil.iter_modules(hl7_gateway.datatypes.__path__):
        importlib.import_module(f"hl7_gateway.datatypes.{module.name}")
    return MappingProxyType(dict(sorted(_registered.items())))


def find(name: str) -> DataType:
    """Return the function registered as `name`; raises ConfigurationError when there is none."""
    try:
        return datatypes()[name]
    except KeyError:
        raise ConfigurationError(f"There is no data type function `{name}`") from None
