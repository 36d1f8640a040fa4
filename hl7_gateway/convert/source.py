"""Python functions written as source text: what the maps say, as straight lines without a loop over rules.

The text of each function is kept where tracebacks, debuggers and `inspect.getsource` look for it
(https://docs.python.org/3/library/linecache.html), under the name that its file would have. Names stand for
objects that are bound beside the text, so that no value of a map has to be written as Python but JSON.
"""

import linecache
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any

_INDENT = "    "


class Source:
    """The text of one function, and the objects that its names stand for."""

    __slots__ = ("_depth", "_lines", "_names", "function", "parameters")

    def __init__(self, function: str, *parameters: str) -> None:
        """Begin the text of `function`, a Python name."""
        self.function = function
        self.parameters = parameters
        self._lines: list[str] = []
        self._names: dict[str, Any] = {}
        self._depth = 1

    def line(self, *texts: str) -> None:
        """Add lines at the present indentation."""
        self._lines.extend(_INDENT * self._depth + text for text in texts)

    def remark(self, text: str) -> None:
        """Add a comment; whatever `text` holds, it is one line."""
        self.line(f"# {' '.join(text.split())}")

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Indent what is added inside below the line `head` with a colon behind it."""
        self.line(f"{head}:")
        self._depth += 1
        yield
        self._depth -= 1

    def name(self, name: str, value: object) -> str:
        """Let `name` stand for `value` and return it; one name stands for one object."""
        if self._names.setdefault(name, value) is not value:
            raise ValueError(f"`{name}` stands for something else in {self.function}")
        return name

    @property
    def text(self) -> str:
        """The whole function."""
        head = f"def {self.function}({', '.join(self.parameters)}):"
        return "\n".join([head, *(self._lines or [f"{_INDENT}pass"])]) + "\n"

    def compile(self, file: str) -> Callable[..., Any]:
        """Return the function; tracebacks show its lines as those of `file`."""
        text = self.text
        code: CodeType = compile(text, file, "exec")
        # Without a time of change the cache keeps the lines for good.
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        namespace = {"__name__": __name__, **self._names}
        exec(code, namespace)  # noqa: S102 - written here from checked maps, never from a message
        function: Callable[..., Any] = namespace[self.function]
        return function
