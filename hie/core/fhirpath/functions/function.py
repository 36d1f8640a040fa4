"""What a function of FHIRPath is to the compiler: its implementation and how many arguments it takes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hie.core.fhirpath.evaluation import Closure, Frame
from hie.core.fhirpath.node import Items

# (input, frame, *arguments): arguments are expressions, for the function to evaluate.
Implementation = Callable[..., Items]


@dataclass(frozen=True, slots=True)
class SortKey:
    """An argument of ``sort()``: a minus before it turns the order, of texts and dates as well."""

    closure: Closure
    is_descending: bool


@dataclass(frozen=True, slots=True)
class Function:
    """A function with the least and the greatest number of its arguments; None for any number."""

    implementation: Implementation
    least: int = 0
    greatest: int | None = 0


def each(items: Items, frame: Frame) -> Iterator[Frame]:
    """Yield for each item a frame in which ``$this`` is the item and ``$index`` its position.

    It is one frame that changes: what is evaluated in it must be done before the next.
    """
    run = frame.run
    run.spend(len(items))
    inner = Frame([], run, frame.total)
    for index, item in enumerate(items):
        inner.items = [item]
        inner.index = index
        yield inner
