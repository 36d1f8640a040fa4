"""The completions that `resources.yaml` names: what a resource needs once all segments have had their say.

One module a domain (`completion_adt`, ...) registers them.
"""

from collections.abc import Callable

from hie.core.errors import ConfigurationError
from hl7_gateway.convert.run import Instance, Run

Complete = Callable[[Instance, Run], None]

_completions: dict[str, Complete] = {}


def named_completion(function: Complete) -> Complete:
    """Register a completion under its function's name."""
    _completions[function.__name__] = function
    return function


def completion(name: str) -> Complete:
    """Return the completion called `name`; raises ConfigurationError when there is none."""
    try:
        return _completions[name]
    except KeyError:
        raise ConfigurationError(f"There is no completion `{name}`") from None
