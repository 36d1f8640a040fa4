"""What a profile asks of an element, compiled: counts, checks of each value, slices, elements below.

Only what the base definition does not already ask is here, so that a profile costs what it adds.
`compile` makes these from ElementDefinitions. https://hl7.org/fhir/R4/elementdefinition.html
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from fhir_server.validation.profile.item import Item

if TYPE_CHECKING:  # a run is made of rules
    from fhir_server.validation.profile.run import Run

Check = Callable[["Run", Item], None]
"""Looks at one value and reports what is wrong with it."""

Match = Callable[["Run", Item], bool]
"""Says whether a value belongs to a slice."""

_DEFAULT: Final = "@default"


@dataclass(slots=True, eq=False)
class Rule:
    """What is asked of the element `name` of whatever holds it.

    `label` names it in messages ("Composition.section:sectionProblems"). `max` is None where the
    profile allows no fewer than the base. A rule with a `slice_name` is about the values of its slice.
    """

    name: str
    label: str
    slice_name: str | None = None
    min: int = 0
    max: int | None = None
    checks: tuple[Check, ...] = ()
    children: "tuple[Rule, ...]" = ()
    slicing: "Slicing | None" = None

    @property
    def is_trivial(self) -> bool:
        """Say whether nothing is asked."""
        return not (self.min or self.max is not None or self.checks or self.children or self.slicing)

    def check(self, run: "Run", item: Item) -> None:
        """Report what is wrong with one value and what is below it."""
        for look in self.checks:
            look(run, item)
        for child in self.children:
            child.check_all(run, item, item.children(child.name))

    def check_all(self, run: "Run", parent: Item, items: list[Item], *, unsure: int = 0) -> None:
        """Report what is wrong with the values of the element, or of the slice, in `parent`.

        `unsure` is the number of further values that may be of the slice, which cannot be told.
        """
        count = len(items)
        if count + unsure < self.min:
            run.report(
                parent,
                "error",
                "required",
                f"`{self.label}` must occur at least {_times(self.min)}, found {count or 'none'}",
                step=f".{self.name}",
            )
        elif self.max is not None and count > self.max:
            allowed = f"at most {_times(self.max)}, found {count}" if self.max else "not be there"
            verb = "may occur " if self.max else "must "
            run.report(parent, "error", "structure", f"`{self.label}` {verb}{allowed}", step=f".{self.name}")
        for item in items:
            self.check(run, item)
        if self.slicing is not None:
            self.slicing.check(run, parent, items)


@dataclass(slots=True, eq=False)
class Slice:
    """One slice: which values belong to it, and what is asked of them.

    `explain` tells why a value does not belong to a slice that is told by a profile.
    """

    match: Match
    rule: Rule
    explain: "Check | None" = None

    def check(self, run: "Run", parent: Item, items: list[Item], others: list[Item], *, unsure: int) -> None:
        """Report what is wrong with the values of the slice; `others` are those of no slice."""
        self.rule.check_all(run, parent, items, unsure=unsure)
        if len(items) + unsure < self.rule.min and self.explain is not None:
            for item in others:
                self.explain(run, item)


@dataclass(slots=True, eq=False)
class Slicing:
    """How the values of an element fall into slices (https://hl7.org/fhir/R4/profiling.html#slicing)."""

    label: str
    slices: tuple[Slice, ...]
    rules: Literal["open", "openAtEnd", "closed"] = "open"
    is_ordered: bool = False
    default: Rule | None = None
    unsupported: tuple[str, ...] = field(default=())
    """Slices that cannot be told apart here, each with the reason; nothing is asked of them."""

    def check(self, run: "Run", parent: Item, items: list[Item]) -> None:
        """Report what is wrong with the slices of `items`, the values in `parent`."""
        members: list[list[Item]] = [[] for _ in self.slices]
        unsure = [0] * len(self.slices)
        others: list[Item] = []
        latest = -1
        for item in items:
            found, is_sure = self._slices_of(run, item)
            if not found:
                others.append(item)
                continue
            if not is_sure:
                for number in found:
                    unsure[number] += 1
                continue
            if others and self.rules == "openAtEnd":
                run.report(
                    others[-1], "error", "structure", f"Only after all slices of `{self.label}` may it stand"
                )
                others = []
            if self.is_ordered and found[0] < latest:
                run.report(
                    item, "error", "structure", f"The slices of `{self.label}` must stand in their order"
                )
            latest = max(latest, found[0])
            members[found[0]].append(item)
        for each, own, more in zip(self.slices, members, unsure, strict=True):
            each.check(run, parent, own, others, unsure=more)
        self._check_others(run, others)
        for reason in self.unsupported:
            run.report(parent, "information", "not-supported", reason)

    def _slices_of(self, run: "Run", item: Item) -> tuple[list[int], bool]:
        """Return the numbers of the slices that `item` belongs to, and whether that is sure."""
        sure: list[int] = []
        unsure: list[int] = []
        for number, each in enumerate(self.slices):
            before = run.unknowns
            if each.match(run, item):
                (sure if run.unknowns == before else unsure).append(number)
        if len(sure) == 1 or len(sure + unsure) <= 1:
            return sure or unsure, True
        names = " and ".join(f"`{self.slices[number].rule.slice_name}`" for number in sure or unsure)
        if sure:
            run.report(item, "error", "structure", f"It belongs to the slices {names} of `{self.label}`")
            return sure, True
        message = f"To which of the slices {names} of `{self.label}` it belongs cannot be told here"
        run.report(item, "information", "not-supported", message)
        return unsure, False

    def _check_others(self, run: "Run", others: list[Item]) -> None:
        for item in others:
            if self.default is not None:
                self.default.check(run, item)
            elif self.rules == "closed" and not self.unsupported:
                run.report(
                    item, "error", "structure", f"It belongs to no slice of `{self.label}`, which is closed"
                )


def is_default(slice_name: str) -> bool:
    """Say whether a slice takes what no other takes (https://hl7.org/fhir/profiling.html#default-slice)."""
    return slice_name == _DEFAULT


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
