"""Segment maps written as straight lines of Python: one function a map, one block a field.

A field of a single repetition of which nothing is left over, as nearly all are, is put where its rule says
without asking the map again; any other field goes through the rule's `apply` (`fields`), which says the same
in general. What a function looks like is shown by `python -m hl7_gateway.convert.show PID_Patient`.

https://build.fhir.org/ig/HL7/v2-to-fhir/mapping_guidelines.html
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from hie.core.fhir.json import JsonObject
from hl7_gateway.convert.accounting import Account
from hl7_gateway.convert.conditions import Condition, need_of, valued_field
from hl7_gateway.convert.fields import Apply, FieldRule
from hl7_gateway.convert.maps import Rule
from hl7_gateway.convert.mentions import refer
from hl7_gateway.convert.places import is_list, store_at
from hl7_gateway.convert.plain import expression, writes_plain
from hl7_gateway.convert.report import Kept
from hl7_gateway.convert.run import Run
from hl7_gateway.convert.source import Source
from hl7_gateway.er7.message import NULL, Segment

Fill = Callable[[Segment, list[str], JsonObject, Run, Account], None]
"""Takes a segment, its fields in blocks, the resource to be filled, and the account of the segment."""

# Fields come in whole blocks, with empty ones at the end: how many there are is asked once a block.
BLOCK = 8
PADDING = tuple([""] * (BLOCK - rest) for rest in range(BLOCK))

# Positions of a segment for which its lines of the report are kept.
_POSITIONS = 64


@dataclass(frozen=True, slots=True)
class Line:
    """A rule of a map ready to be written: what does it, and its conditions by name."""

    rule: Rule
    apply: Apply
    conditions: tuple[tuple[str, Condition], ...] = ()
    of_field: FieldRule | None = None


def written(name: str, segment: str, lines: Sequence[Line]) -> Source:
    """Return the function `name` that does `lines` of a map of `segment`.

    Rules without a field come first, in their order, then the fields in theirs, each with its rules.
    """
    source = Source(name, "segment", "fields", "resource", "run", "account")
    writer = _Writer(source, segment)
    for number, line in enumerate(lines):
        if not line.rule.field:
            writer.write(line, number)
    fields = sorted({line.rule.field for line in lines if line.rule.field})
    if fields:
        source.line("size, add, context = len(fields), account.whole.add, run.context")
    if any(line.rule.keep for line in lines):
        source.line("kept, index = run.report.kept.append, segment.index")
    asked_for = 0
    for place in fields:
        if place // BLOCK > asked_for:
            asked_for = place // BLOCK
            source.line(f"if size <= {place}:", "    return")
        with source.block(f"if text := fields[{place}]"):
            for number, line in enumerate(lines):
                if line.rule.field == place:
                    writer.write(line, number)
    return source


def asked(source: Source, name: str, holds: Condition) -> str:
    """Return the expression of the condition called `name` on the names `segment`, `fields` and `run`."""
    valued = valued_field(name)
    if valued is None:
        call = f"{source.name(identifier(name), holds)}(segment, run)"
        need = need_of(name)
        if need is None:
            return call
        there = f"fields[{need.field}]" + (f" in {need.among}" if need.among else "")
        return f"len(fields) > {need.field} and {there} and {call}"
    place, is_wanted = valued
    is_valued = f"(len(fields) > {place} and fields[{place}] not in ('', {NULL!r}))"
    return is_valued if is_wanted else f"not {is_valued}"


def put(source: Source, target: str, path: str, value: str) -> None:
    """Write the lines that put `value`, which is no list, at `path` of `target`: what `store_at` does."""
    *parents, last = path.removesuffix("[]").split(".")
    if path == "$this" or len(parents) > 1 or (parents and is_list(path)):
        store = source.name(identifier(f"store {path}"), store_at(path))
        source.line(f"{store}({target}, {value})")
    elif parents:
        source.line(f"{target}.setdefault({parents[0]!r}, {{}})[{last!r}] = {value}")
    elif is_list(path):
        with source.block(f"if {last!r} in {target}"):
            source.line(f"{target}[{last!r}].append({value})")
        with source.block("else"):
            source.line(f"{target}[{last!r}] = [{value}]")
    else:
        source.line(f"{target}[{last!r}] = {value}")


class _Writer:
    def __init__(self, source: Source, segment: str) -> None:
        self._source = source
        self._segment = segment

    def write(self, line: Line, number: int) -> None:
        source, rule = self._source, line.rule
        source.remark(_said(rule, self._segment))
        if not line.conditions:
            self._do(line, number)
            return
        with source.block(f"if {' and '.join(asked(source, *each) for each in line.conditions)}"):
            self._do(line, number)

    def _do(self, line: Line, number: int) -> None:
        source, rule = self._source, line.rule
        general = f"{_general(line, number)}(segment, resource, run, account)"
        made = line.of_field
        if rule.keep:
            kept = lru_cache(_POSITIONS)(partial(Kept, f"{self._segment}-{rule.field}", rule.keep))
            source.name(f"kept_{rule.field}", kept)
            source.line(f"add({rule.field})", f"kept(kept_{rule.field}(index))")
            return
        if made is None and rule.constant is not None:
            put(source, "resource", rule.to, repr(rule.constant))
            return
        source.name(_general(line, number), line.apply)
        if made is None:
            source.line(general)
        elif writes_plain(rule) and (made.way == "recall" or made.make_plain is not None):
            self._take_plain(made, number, general)
        else:
            source.line(general)

    def _take_plain(self, made: FieldRule, number: int, general: str) -> None:
        source, rule = self._source, made.rule
        make = f"make_{number}(segment, text, context"
        if made.make_plain is not None:
            source.name(f"make_{number}", made.make_plain)
        if made.way == "make":
            source.line(f"value = {make}, account)")
        elif made.way == "recall":
            source.line(f"value = run.memory.get(({made.number}, text))")
        else:
            source.line(f"value = run.scratch.get(({made.number}, text))")
            with source.block("if value is None"):
                source.line(f"value = run.scratch[{made.number}, text] = {make}, None)")
        with source.block("if value is None"):
            source.line(general)
        with source.block("else"):
            put(source, "resource", rule.to, expression(rule, "value", is_shared=made.way != "make"))
            if made.way != "make":
                source.line(f"add({rule.field})")
        if "refer(" in source.text:
            source.name("refer", refer)


def _said(rule: Rule, segment: str) -> str:
    place = f"{segment}-{rule.field}" if rule.field else segment
    if rule.keep:
        return f"{place}: kept, {rule.keep}"
    if rule.constant is not None:
        return f"{place}: constant -> {rule.to}"
    if rule.use:
        return f"{place}: {rule.use}"
    return f"{place}: {rule.function or rule.link or 'element'} -> {rule.to}"


def _general(line: Line, number: int) -> str:
    return identifier(line.rule.use) if line.rule.use else f"apply_{number}"


def identifier(name: str) -> str:
    """Return `name` as a Python name."""
    return "".join(character if character.isalnum() else "_" for character in name)
