"""Short ways to the text inside a repetition."""

from hl7_gateway.er7.message import NULL, Component, Repetition


def part(repetition: Repetition, component: int, subcomponent: int = 1) -> str:
    """Return the text at the 1-based place, "" when it is absent or the explicit null `""`.

    >>> part((("X",), ("A", "B")), 2, 2)
    'B'
    """
    if component > len(repetition):
        return ""
    try:
        text = repetition[component - 1][subcomponent - 1]
    except IndexError:
        return ""
    return "" if text == NULL else text


def lift(component: Component) -> Repetition:
    """Return the sub-components of a component as the components of the data type it holds (HD inside CX-4).

    >>> lift(("HOSPITAL", "1.2.3", "ISO"))
    (('HOSPITAL',), ('1.2.3',), ('ISO',))
    """
    return tuple((text,) for text in component)
