"""The inputs of one call, checked against the operation's definition.

They come from a query string, from a Parameters resource, or as the one resource that the operation
takes (https://hl7.org/fhir/R4/operations.html#request). What is unknown, missing, given too often or
of another type is refused and named by its expression; inside a value the validator of the server
decides. Resources that are inputs are not validated here: that is up to the operation.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from fhir_server.operations.parameter import Parameter
from fhir_server.validation.primitives import RULES
from hie.core.errors import (
    InvalidParametersError,
    Issue,
    MissingParameterError,
    ParameterValueError,
    RequestError,
    UnknownParameterError,
)
from hie.core.fhir.json import Json, JsonObject
from hie.core.fhir.structure import is_subtype

Check = Callable[[JsonObject], list[Issue]]

# They ask for the form of the answer and are inputs of no operation.
_GENERAL: Final = frozenset({"_format", "_pretty"})
_NUMBERS: Final = frozenset({"integer", "positiveInt", "unsignedInt"})
_MOST_DIGITS: Final = 10
_ANY: Final = "Element"


@dataclass(frozen=True, slots=True)
class Value:
    """One value of one parameter: `type` is that of the value; `expression` says where it stood."""

    name: str
    type: str
    value: Json
    expression: str


class Inputs:
    """The inputs of a call."""

    __slots__ = ("_values", "ignored", "search")

    def __init__(
        self,
        values: Iterable[Value] = (),
        search: Iterable[tuple[str, str]] = (),
        ignored: Iterable[str] = (),
    ) -> None:
        """Take the values, in order; what is no parameter: search parameters, and names left out."""
        self._values = tuple(values)
        self.search = tuple(search)
        self.ignored = tuple(dict.fromkeys(ignored))

    def one(self, name: str, type_name: str | None = None) -> Json:
        """Return the value of `name`, of type `type_name` where that is given; None when there is none."""
        return next(iter(self.all(name, type_name)), None)

    def all(self, name: str, type_name: str | None = None) -> list[Json]:
        """Return the values of `name`, in order, of type `type_name` where that is given."""
        return [
            each.value
            for each in self._values
            if each.name == name and (type_name is None or is_subtype(each.type, type_name))
        ]

    def resource(self, name: str) -> JsonObject | None:
        """Return the resource that is the value of `name`, None when there is none."""
        found: JsonObject | None = self.one(name)
        return found

    def parts(self, name: str) -> list["Inputs"]:
        """Return the parts of each `name`, in order."""
        return [each.value for each in self._values if each.name == name]

    def expression(self, name: str) -> str:
        """Return where the first value of `name` stood, `name` itself when there is none."""
        return next((each.expression for each in self._values if each.name == name), name)

    def __contains__(self, name: object) -> bool:
        """Say whether `name` has a value."""
        return any(each.name == name for each in self._values)


@dataclass(slots=True)
class _Strangers:
    """What becomes of names that are no parameter of the operation."""

    known: Mapping[str, Parameter]
    takes_search: bool
    is_lenient: bool
    search: list[tuple[str, str]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    def take(self, name: str, text: Callable[[], str], expression: str) -> None:
        """Keep `name`, or raise UnknownParameterError."""
        if self.takes_search:
            self.search.append((name, text()))
        elif self.is_lenient:
            self.ignored.append(name)
        else:
            raise _unknown(name, expression, self.known)


def read_inputs(
    parameters: Sequence[Parameter],
    query: Sequence[tuple[str, str]],
    body: Json,
    check: Check,
    *,
    takes_search: bool = False,
    is_lenient: bool = False,
) -> Inputs:
    """Return the inputs that `query` and `body` (None: no body) give for `parameters` of use "in".

    `check` is the validator of resources. Names that are no parameter are search parameters with
    `takes_search`, left out with `is_lenient`, else an error. Raises RequestError.
    """
    known = {each.name: each for each in parameters}
    strangers = _Strangers(known, takes_search, is_lenient)
    values: list[Value] = []
    for name, text in query:
        if name in known:
            values.append(_from_text(known[name], text))
        elif name not in _GENERAL:
            strangers.take(name, partial(str, text), name)
    if body is not None:
        values += _from_body(known, body, check, strangers)
    _count(parameters, values, "" if body is None else "Parameters")
    return Inputs(values, strangers.search, strangers.ignored)


def _from_text(parameter: Parameter, text: str) -> Value:
    name = parameter.name
    if not parameter.is_primitive:
        raise ParameterValueError(
            f"`{name}` is of type {parameter.type or 'BackboneElement'}, which no URL carries:"
            " send it by POST in a Parameters resource",
            expression=name,
        )
    value = _converted(parameter.type, text)
    _check_primitive(parameter, value, name)
    return Value(name, parameter.type, value, name)


def _converted(type_name: str, text: str) -> Json:
    if type_name == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if type_name in _NUMBERS and text.removeprefix("-").isdecimal() and text.isascii():
        return int(text) if len(text) <= _MOST_DIGITS + 1 else text
    if type_name in {"instant", "dateTime"}:
        # A `+` that was not percent-encoded arrives as a space.
        return text.replace(" ", "+")
    return text


def _from_body(
    known: Mapping[str, Parameter], body: Json, check: Check, strangers: _Strangers
) -> list[Value]:
    if not isinstance(body, dict) or not isinstance(body.get("resourceType"), str):
        raise RequestError("A Parameters resource is expected", expression="Parameters")
    if body["resourceType"] != "Parameters":
        return [_the_resource(known, body)]
    entries = body.get("parameter", [])
    if not isinstance(entries, list):
        raise RequestError("Parameters.parameter is not an array", expression="Parameters.parameter")
    values = _from_entries(known, entries, "Parameters.parameter", strangers)
    if not entries:
        return values
    findings = [issue for issue in check(_without_resources(body)) if issue.severity in ("fatal", "error")]
    if findings:
        raise InvalidParametersError(findings)
    return values


def _the_resource(known: Mapping[str, Parameter], body: JsonObject) -> Value:
    taking = [each for each in known.values() if each.is_resource]
    if len(taking) != 1:
        raise RequestError(
            f"The body is a {body['resourceType']}, expected Parameters", expression="Parameters"
        )
    (parameter,) = taking
    _check_resource(parameter, body, "")
    return Value(parameter.name, body["resourceType"], body, body["resourceType"])


def _from_entries(
    known: Mapping[str, Parameter], entries: list[Json], prefix: str, strangers: _Strangers | None
) -> list[Value]:
    values: list[Value] = []
    for position, entry in enumerate(entries):
        expression = f"{prefix}[{position}]"
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            raise RequestError("The parameter has no name", expression=f"{expression}.name")
        parameter = known.get(name)
        if parameter is not None:
            values.append(_from_entry(parameter, entry, expression))
        elif strangers is not None:
            strangers.take(name, partial(_search_text, name, entry, expression), expression)
        else:
            raise _unknown(name, expression, known)
    return values


def _from_entry(parameter: Parameter, entry: JsonObject, expression: str) -> Value:
    name = parameter.name
    if parameter.is_resource:
        resource: Json = entry.get("resource")
        _check_resource(parameter, resource, f"{expression}.resource")
        return Value(name, resource["resourceType"], resource, f"{expression}.resource")
    if parameter.parts and "part" in entry:
        parts = entry["part"]
        if not isinstance(parts, list):
            raise ParameterValueError(f"The parts of `{name}` are no array", expression=f"{expression}.part")
        values = _from_entries(
            {each.name: each for each in parameter.parts}, parts, f"{expression}.part", None
        )
        _count(parameter.parts, values, expression)
        return Value(name, "BackboneElement", Inputs(values), expression)
    if not parameter.type:
        raise ParameterValueError(f"`{name}` consists of parts", expression=f"{expression}.part")
    given = [key for key in entry if key.startswith("value")]
    if len(given) != 1:
        raise ParameterValueError(
            f"`{name}` has no value of type {parameter.type}", expression=f"{expression}.value"
        )
    key = given[0]
    type_name = key.removeprefix("value")
    if type_name[:1].lower() + type_name[1:] in RULES:
        type_name = type_name[:1].lower() + type_name[1:]
    expression = f"{expression}.value"
    if parameter.is_primitive and type_name in RULES:
        # Clients name the type of a primitive by habit (valueString for a code): its value decides.
        _check_primitive(parameter, entry[key], expression)
        return Value(name, parameter.type, entry[key], expression)
    if parameter.type != _ANY and not is_subtype(type_name, parameter.type):
        raise ParameterValueError(
            f"`{name}` is given as {type_name}, expected {parameter.type}", expression=expression
        )
    return Value(name, type_name, entry[key], expression)


def _search_text(name: str, entry: JsonObject, expression: str) -> str:
    given = [value for key, value in entry.items() if key.startswith("value")]
    if len(given) == 1 and isinstance(given[0], str):
        return given[0]
    raise ParameterValueError(
        f"The search parameter `{name}` is given as text", expression=f"{expression}.value"
    )


def _check_primitive(parameter: Parameter, value: Json, expression: str) -> None:
    findings = RULES[parameter.type](value, 0)
    if findings:
        raise ParameterValueError(
            f"The value of `{parameter.name}` is refused: {findings[0].message}", expression=expression
        )


def _check_resource(parameter: Parameter, resource: Json, expression: str) -> None:
    given = resource.get("resourceType") if isinstance(resource, dict) else None
    if not isinstance(given, str) or not parameter.takes_resource(given):
        found = f"a {given}" if isinstance(given, str) else "no resource"
        raise ParameterValueError(
            f"`{parameter.name}` is {found}, expected {parameter.type}", expression=expression or given
        )


def _count(parameters: Iterable[Parameter], values: Sequence[Value], expression: str) -> None:
    for parameter in parameters:
        given = [each for each in values if each.name == parameter.name]
        if len(given) < parameter.min:
            raise MissingParameterError(
                f"The operation needs the parameter `{parameter.name}`",
                expression=f"{expression}.parameter"
                if expression == "Parameters"
                else expression or parameter.name,
            )
        if parameter.max != "*" and len(given) > int(parameter.max):
            raise ParameterValueError(
                f"`{parameter.name}` is given {len(given)} times, at most {parameter.max} is taken",
                expression=given[int(parameter.max)].expression,
            )


def _unknown(name: str, expression: str, known: Mapping[str, Parameter]) -> UnknownParameterError:
    listed = ", ".join(sorted(known)) or "none"
    return UnknownParameterError(
        f"`{name}` is not a parameter of the operation; it takes: {listed}", expression=expression
    )


def _without_resources(parameters: JsonObject) -> JsonObject:
    """Return a copy of `parameters` with another value in each place of a resource."""
    return {**parameters, "parameter": [_without_resource(each) for each in parameters["parameter"]]}


def _without_resource(entry: JsonObject) -> JsonObject:
    made = dict(entry)
    if made.pop("resource", None) is not None:
        made["valueBoolean"] = True
    if isinstance(made.get("part"), list):
        made["part"] = [_without_resource(part) for part in made["part"]]
    return made
