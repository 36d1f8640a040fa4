"""How much a connection may ask of the gateway, and for how long."""

from dataclasses import dataclass
from typing import Self

from hie.core.settings import Settings

_MEMORY_BYTES = 256 * 1024 * 1024
# As many messages of the largest size may be under way at once.
_LARGE_MESSAGES = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a listener; sizes in bytes, times in seconds.

    A block that has begun must end within `frame_seconds` and one second more for each
    `frame_bytes_a_second`: a sender that trickles bytes (slow loris) is closed, a large message over a slow
    line is not. `unread_seconds` is how long a sender may leave its acknowledgments unread. `settle_seconds`
    is how long the end of a block is waited for after an FS that nothing followed. `queued_bytes` bounds the
    messages of all connections that wait to be processed, `open_bytes` those that have not ended.
    """

    message_bytes: int = 64 * 1024 * 1024
    window: int = 64
    connections: int = 2000
    queued_bytes: int = _MEMORY_BYTES
    open_bytes: int = _MEMORY_BYTES
    idle_seconds: float = 600.0
    frame_seconds: float = 30.0
    frame_bytes_a_second: int = 4096
    unread_seconds: float = 60.0
    settle_seconds: float = 0.1
    linger_seconds: float = 2.0
    shutdown_seconds: float = 10.0

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the limits that the settings name, the rest as they are by default."""
        memory_bytes = max(_MEMORY_BYTES, _LARGE_MESSAGES * settings.mllp_max_message_bytes)
        return cls(
            message_bytes=settings.mllp_max_message_bytes,
            queued_bytes=memory_bytes,
            open_bytes=memory_bytes,
            window=settings.mllp_window,
            connections=settings.mllp_connections,
            idle_seconds=settings.mllp_idle_seconds,
            frame_seconds=settings.mllp_frame_seconds,
        )
