"""What a message map does with a segment, written as Python: one function for each place of the map.

It begins resources or finds them, sets references, lets the segment maps fill them (`straight`), and closes
the account of the segment. Which place may make a resource that a segment refers to is known beforehand, so
that a name is looked up there and nowhere else.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from itertools import compress, count

from hl7_gateway.convert.accounting import NO_RULE, Account
from hl7_gateway.convert.maps import Node
from hl7_gateway.convert.report import Unmapped
from hl7_gateway.convert.run import Instance, Run
from hl7_gateway.convert.source import Source
from hl7_gateway.convert.steps import CompiledStep, take_back
from hl7_gateway.convert.straight import BLOCK, PADDING, asked, identifier, put
from hl7_gateway.er7.message import Segment

Take = Callable[[Segment, Run], None]
"""Does with a segment what its place says; `run.frame` is where it stands."""

# MSH-1 and MSH-2 are what the reader cuts by.
_DELIMITER_FIELDS = (1, 2)


def made_by(children: dict[str, Node]) -> frozenset[str]:
    """Return the names under which segments at `children` may begin resources."""
    return frozenset(
        step.name for node in children.values() for step in node.steps if step.is_new or step.begins_if_none
    )


class Visit:
    """One place of a message map, its function compiled when a message first comes by."""

    def __init__(
        self,
        path: Sequence[str],
        node: Node,
        steps: tuple[CompiledStep, ...],
        scopes: Sequence[frozenset[str]],
    ) -> None:
        """Take the steps of `node`.

        `path` is the structure and the segments down to it; `scopes` are the names that segments beside it,
        beside the segment above it and so on may begin resources under.
        """
        self.name = " ".join(path)
        self._node = node
        self._steps = steps
        self._scopes = scopes

    @cached_property
    def take(self) -> Take:
        """The function of this place."""
        return self._written().compile(f"<message map {self.name}>")

    @property
    def text(self) -> str:
        """The source text of `take`."""
        return self._written().text

    def _written(self) -> Source:
        source = Source(identifier(self.name), "segment", "run")
        source.line("fields, scopes = segment.fields, run.frame.scopes")
        with source.block(f"if rest := len(fields) % {BLOCK}"):
            source.line(f"fields = fields + {source.name('PADDING', PADDING)}[rest]")
        source.line(f"account = {source.name('Account', Account)}(segment)")
        if self._node.segment == "MSH":
            source.line(f"account.whole.update({_DELIMITER_FIELDS})")
        made = [f"made_{number}" for number in range(len(self._steps))]
        if made:
            source.line(f"{' = '.join(made)} = None")
        for name, step in zip(made, self._steps, strict=True):
            self._write(step, name, source)
        filled = f"{source.name('compress', compress)}({source.name('count', count)}(), fields)"
        with source.block(f"if not account.whole.issuperset({filled})"):
            source.line(f"account.close(run.report, {self._node.unmapped or NO_RULE!r})")
            with source.block("if account.nulls"):
                back = source.name("take_back", partial(take_back, self._steps))
                source.line(f"{back}(({''.join(f'{name}, ' for name in made)}), segment, run, account)")
        return source

    def _write(self, step: CompiledStep, made: str, source: Source) -> None:
        said = step.step
        how = "new" if said.is_new else "into" if not said.begins_if_none else "into or new"
        source.remark(f"{how} {said.name}: {said.map}")
        if not step.conditions:
            self._do(step, made, source)
            return
        with source.block(f"if {' and '.join(asked(source, *each) for each in step.conditions)}"):
            self._do(step, made, source)

    def _do(self, step: CompiledStep, made: str, source: Source) -> None:
        said = step.step
        if said.is_new:
            self._begin(step, made, source)
            self._fill(step, made, source)
            return
        source.line(f"{made} = {self._found(said.name)}")
        if said.begins_if_none:
            with source.block(f"if {made} is None"):
                self._begin(step, made, source)
            self._fill(step, made, source)
            return
        with source.block(f"if {made} is None"):
            reason = f"there is no {said.name} before it in the message"
            line = f"(segment.name, len(segment.text), {reason!r}, segment.index)"
            source.line(f"run.report.unmapped.append({source.name('Unmapped', Unmapped)}{line})")
        with source.block("else"):
            self._fill(step, made, source)

    def _begin(self, step: CompiledStep, made: str, source: Source) -> None:
        name = step.step.name
        use = source.name(f"use_of_{name}", step.use)
        source.line(
            f"resource = {{'resourceType': {step.use.type!r}}}",
            f"{made} = {source.name('Instance', Instance)}({use}, segment, resource)",
            f"run.alike[{name!r}].append({made})",
            f"run.instances.append({made})",
            f"scopes[0][{name!r}] = {made}",
        )
        for path, others in step.refer.items():
            head = "if"
            # The nearest of its own name is the resource itself.
            for other in others:
                found = self._found(other) if other != name else None
                if found is not None:
                    with source.block(f"{head} other := {found}"):
                        source.line(f"{made}.links[{other!r}] = other")
                        put(source, "resource", path, "other.reference")
                    head = "elif"
        referred = {other for others in step.refer.values() for other in others}
        for other in step.use.belongs:
            found = self._found(other) if other != name else None
            if found is not None:
                with source.block(f"if other := {found}"):
                    source.line(
                        f"{made}.links.setdefault({other!r}, other)"
                        if other in referred
                        else f"{made}.links[{other!r}] = other"
                    )

    def _fill(self, step: CompiledStep, made: str, source: Source) -> None:
        fill = source.name(identifier(step.map.name), step.map.fill)
        if step.map.store is None:
            source.line(f"{fill}(segment, fields, {made}.resource, run, account)")
        else:
            source.line("element = {}", f"{fill}(segment, fields, element, run, account)")
            with source.block("if element"):
                store = source.name(f"store_{identifier(step.map.name)}", step.map.store)
                source.line(f"{store}({made}.resource, element)")
        for path, other in step.step.referred:
            linked = f"{made}.links.get({other!r})"
            found = self._found(other)
            with source.block(f"if other := {linked if found is None else f'{linked} or {found}'}"):
                source.line("resource = other.resource")
                put(source, "resource", path, f"{made}.reference")

    def _found(self, name: str) -> str | None:
        """Return the expression of the nearest resource called `name`, None where there can be none."""
        places = [depth for depth, names in enumerate(self._scopes) if name in names]
        return " or ".join(f"scopes[{depth}].get({name!r})" for depth in places) or None
