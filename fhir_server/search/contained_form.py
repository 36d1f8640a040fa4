"""A condition on resources, as the same condition on contained resources of that type.

https://hl7.org/fhir/R4/search.html#contained. What a contained resource holds is asked of its own
rows; what it refers to is stored beside it or for itself; what refers to it is its container, or
contained there too.
"""

from dataclasses import replace

from fhir_server.search.conditions import (
    AllOf,
    AnyOf,
    Condition,
    ContainedIdIs,
    Has,
    HasInside,
    IdIn,
    IdIs,
    LastUpdatedIs,
    Not,
    Other,
    Restriction,
    StringIs,
    TextIs,
)
from hie.core.errors import MalformedSearchError


def contained_form(condition: Condition) -> Condition:  # noqa: C901, PLR0911, PLR0912 - a case a kind
    """Return `condition` as it is asked of contained resources.

    A chain into what is contained must stand beside the plain one already. Raises MalformedSearchError
    for `_text` and `_content`, whose words are those of whole resources.
    """
    match condition:
        case AllOf():
            return AllOf(tuple(contained_form(each) for each in condition.conditions))
        case AnyOf():
            return AnyOf(tuple(contained_form(each) for each in condition.conditions))
        case Restriction():
            return contained_form(condition.condition)
        case Not():
            return Not(contained_form(condition.condition))
        case Other():
            return replace(
                condition, condition=replace(condition.condition, param=-condition.condition.param)
            )
        case IdIs():
            return ContainedIdIs(condition.ids)
        case IdIn():
            return AnyOf(())  # what is contained has no id of this server
        case LastUpdatedIs():
            return AnyOf(())  # a contained resource has no meta.lastUpdated (dom-4)
        case TextIs():
            raise MalformedSearchError(
                "`_text` and `_content` do not look for contained resources", expression="_contained"
            )
        case StringIs():
            return replace(condition, param=-condition.param, windows=-condition.windows)
        case Has():
            param, source, own, inner = condition.param, condition.source, condition.own, condition.condition
            return AnyOf(
                (
                    HasInside(param, source, own, inner),
                    HasInside(-param, source, own, contained_form(inner)),
                )
            )
        case ContainedIdIs():
            return condition
        case _:
            return replace(condition, param=-condition.param)
