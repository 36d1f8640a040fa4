"""How one repetition of a field becomes one value: the part of a rule that is the same wherever it goes.

A maker works in two steps. `prepare` is pure: it depends on the repetition, the sender and the version, so
what it gives may be kept in memory and shared by messages. `realize` puts it into one Bundle: a copy of its
own, a Reference.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from hie.core.errors import ConfigurationError
from hie.core.fhir.json import Json, JsonObject
from hl7_gateway.convert.accounting import ALL, WHOLE, Reads, union
from hl7_gateway.convert.maps import Rule
from hl7_gateway.convert.memory import RECURRING
from hl7_gateway.convert.mentions import MENTIONABLE, Mention, mention_of, refer
from hl7_gateway.convert.places import store_at
from hl7_gateway.convert.run import Run
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.registry import Convert, DataType, OfText, find
from hl7_gateway.er7.message import Repetition, Segment
from hl7_gateway.er7.text import lift

Prepare = Callable[[Repetition, Context], Any]
Realize = Callable[[Any, Segment, Run], Json]


def copied(value: Any, _segment: Segment, _run: Run) -> Json:
    """Return a copy of a value that other messages share, so that rules may add to it."""
    return value.copy() if type(value) is dict else value


class Maker(NamedTuple):
    """`prepare` gives None when there is nothing to say; `recurs` says that its results are worth keeping.

    Without `realize` a value goes into the Bundle as it is.
    """

    prepare: Prepare
    realize: Realize | None
    reads: Reads
    recurs: bool
    of_text: OfText | None = None


def maker(rule: Rule) -> Maker:
    """Return the maker of `rule`; raises ConfigurationError for a name that stands for nothing."""
    if rule.element:
        made = _element(rule.element)
    elif rule.constant is not None:
        made = _constant(rule.constant)
    else:
        made = _converted(rule)
    if rule.default is not None:
        made = _with_default(made, rule.default)
    return _of_component(made, rule.component) if rule.component else made


def is_primitive(rule: Rule) -> bool:
    """Whether the data-type function of `rule` makes a value of a primitive type of FHIR."""
    # The names of FHIR's primitive types begin with a small letter.
    return rule.function.partition("_")[2][0].islower()


def fresh(constant: Json) -> Callable[[], Json]:
    """Return a function that gives `constant` anew: a later rule may add to what a resource holds."""
    if not isinstance(constant, dict | list):
        return lambda: constant
    text = orjson.dumps(constant)
    return lambda: orjson.loads(text)


def reads_of(datatype: DataType) -> Reads:
    """Return what a data-type function declares to read, as the account counts it."""
    if datatype.uses == "all":
        return WHOLE
    places: dict[int, int] = {}
    for use in datatype.uses:
        component, parts = (use, (1,)) if isinstance(use, int) else use
        places[component] = next((n - 1 for n in range(1, 64) if n not in parts), 0)
    return tuple(places.get(place, 0) for place in range(1, max(places, default=0) + 1))


def _constant(constant: Json) -> Maker:
    anew = fresh(constant)
    return Maker(
        lambda _repetition, _context: constant, lambda _value, _segment, _run: anew(), (), recurs=True
    )


def _converted(rule: Rule) -> Maker:
    datatype = find(rule.function)
    convert = datatype.bind(concept_map=rule.concept_map or None, namespace=rule.namespace or None)
    reads = reads_of(datatype)
    if rule.refer:
        return _reference(rule.refer, convert, reads)
    made = rule.function.partition("_")[2]
    realize = None if is_primitive(rule) else copied
    # A code that is mapped is one of a short list.
    recurs = made in RECURRING or (made == "code" and bool(rule.concept_map))
    return Maker(convert, realize, reads, recurs, datatype.of_text)


def _reference(kind: str, convert: Convert, reads: Reads) -> Maker:
    """A Reference to what `convert` describes: one resource, or a list of them, each part of the next."""
    if kind not in MENTIONABLE:
        raise ConfigurationError(f"A rule cannot refer to {kind}")

    def mentions(repetition: Repetition, context: Context) -> tuple[Mention, ...] | None:
        content = convert(repetition, context)
        if isinstance(content, dict):
            return (mention_of(kind, content, context.sender),)
        if isinstance(content, list) and content:
            return tuple([mention_of(kind, part, context.sender) for part in content])
        return None

    # One mention for all the rules that read the same words: the Bundle then sees that it is the same.
    known = _known_to_sender(mentions, kind, convert)
    return Maker(known, lambda found, segment, run: refer(run, found, segment), reads, recurs=True)


def _element(rules: tuple[Rule, ...]) -> Maker:
    """An element around one repetition: it comes into being only if a rule of it that reads has a value.

    What is prepared is one value for each rule, None where it has none.
    """
    made = [maker(rule) for rule in rules]
    parts = [(store_at(rule.to), part.realize) for rule, part in zip(rules, made, strict=True)]
    prepares = [part.prepare for part in made]
    reading = [place for place, rule in enumerate(rules) if rule.constant is None]
    reads: Reads = ()
    for part in made:
        reads = union(reads, part.reads)

    def prepare(repetition: Repetition, context: Context) -> tuple[Any, ...] | None:
        prepared = tuple([prepare_part(repetition, context) for prepare_part in prepares])
        return prepared if any(prepared[place] is not None for place in reading) else None

    def realize(prepared: tuple[Any, ...], segment: Segment, run: Run) -> Json:
        element: JsonObject = {}
        for (store, realize_part), value in zip(parts, prepared, strict=True):
            if value is not None:
                store(element, value if realize_part is None else realize_part(value, segment, run))
        return element

    return Maker(prepare, realize, reads, all(part.recurs for part in made))


def _with_default(made: Maker, default: JsonObject) -> Maker:
    """Lay constants under what the function gives."""
    defaults = [(name, fresh(value)) for name, value in default.items()]

    def prepare(repetition: Repetition, context: Context) -> Any:
        value = made.prepare(repetition, context)
        if isinstance(value, dict):
            for name, anew in defaults:
                if name not in value:
                    value[name] = anew()
        return value

    return made._replace(prepare=prepare, of_text=None)


def _of_component(made: Maker, component: int) -> Maker:
    """Take a component, its sub-components as the components of a repetition."""
    index = component - 1
    make = _known_to_sender(made.prepare, made.prepare) if made.recurs else made.prepare

    def prepare(repetition: Repetition, context: Context) -> Any:
        if index >= len(repetition):
            return None
        value = make(lift(repetition[index]), context)
        if context.dropped:
            context.dropped[:] = [(component, reason) for _, reason in context.dropped]
        return value

    # An account counts sub-components from the first: what is read behind a gap is reported as well.
    known = (
        ALL
        if made.reads is WHOLE
        else next((n for n, read in enumerate(made.reads) if not read), len(made.reads))
    )
    reads = (*(0,) * index, known)
    # The field comes again less often than one of its components: PV1-20 is a class and a date.
    return made._replace(prepare=prepare, reads=reads, recurs=False, of_text=None)


def _known_to_sender(make: Prepare, *name: Any) -> Prepare:
    """Return `make` that remembers what it made for the sender, if nothing was dropped; `name` is its own."""

    def recall(repetition: Repetition, context: Context) -> Any:
        place = (*name, repetition, context.version)
        value = context.known.get(place)
        if value is None:
            value = make(repetition, context)
            if value is not None and not context.dropped:
                context.keep(place, value)
        return value

    return recall
