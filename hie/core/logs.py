"""How every process logs: one line an event, in UTC, to standard error.

What is logged never holds patients' data: control ids, senders, states, counts.
"""

import logging
import time

_LINE = "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s"
_TIME = "%Y-%m-%dT%H:%M:%S"


def configure(level: str) -> None:
    """Log at `level` and above ("INFO")."""
    formatter = logging.Formatter(_LINE, _TIME)
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
