"""What a Subscription resource asks for, read and checked as far as its own words go.

https://hl7.org/fhir/R4/subscription.html, and for topics the profile
https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/StructureDefinition-backport-subscription.html: the
criteria are then the canonical of a topic. Whether criteria can be searched and topics are known is
for `criteria`; whether an endpoint is permitted is for `endpoint`.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from fhir_server.subscriptions import extensions
from hie.core.errors import InvalidResourceError, Issue
from hie.core.fhir.json import Json, JsonObject

Content = Literal["empty", "id-only", "full-resource"]
Channel = Literal["rest-hook", "websocket"]

CONTENTS: Final[dict[str, Content]] = {each: each for each in ("empty", "id-only", "full-resource")}
_CHANNELS: Final[dict[str, Channel]] = {"rest-hook": "rest-hook", "websocket": "websocket"}
# Of criteria of R4, whose payload is the resource: without and with one.
_CRITERIA_CONTENTS: Final[tuple[Content, Content]] = ("id-only", "full-resource")
# MIME type of `payload` -> the format of what is sent.
_FORMATS: Final = {
    "application/fhir+json": "json",
    "application/json": "json",
    "application/fhir+xml": "xml",
    "application/xml": "xml",
}
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
# https://www.rfc-editor.org/rfc/rfc9110#name-field-names, and values of visible ASCII, space and tab.
_HEADER: Final = re.compile(
    r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)"
)
# What says where a message ends, whom it is for, or what it holds is the sender's to say.
_OWN_HEADERS: Final = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


@dataclass(frozen=True, slots=True)
class Definition:
    """A Subscription: of a search (`criteria`), or of the topic `topic` under `filters`, which are searches.

    `payload` is the MIME type of what is sent, None for notifications without a body, and `form` its
    format, "json" or "xml". `heartbeat_seconds` and `timeout_seconds` are None where nothing is asked for.
    """

    id: str
    criteria: str
    topic: str | None
    filters: tuple[str, ...]
    channel: Channel
    endpoint: str
    payload: str | None
    form: str
    content: Content
    headers: tuple[tuple[str, str], ...]
    heartbeat_seconds: int | None
    timeout_seconds: int | None
    max_count: int
    end: datetime | None


def wants_notifications(resource: JsonObject) -> bool:
    """Say whether the Subscription asks to be told: clients set `requested`, and some `active`."""
    return resource.get("status") in ("requested", "active")


def read_definition(resource: JsonObject) -> Definition:
    """Return what the Subscription asks for; raises InvalidResourceError with all that it cannot have."""
    return _Reader(resource).read()


class _Reader:
    def __init__(self, resource: JsonObject) -> None:
        self._resource = resource
        channel = resource.get("channel")
        self._channel: JsonObject = channel if isinstance(channel, dict) else {}
        self._issues: list[Issue] = []

    def read(self) -> Definition:
        criteria = self._text(self._resource.get("criteria"), "criteria")
        topic = criteria if _ABSOLUTE.match(criteria) else None
        filters = extensions.values(
            self._resource.get("_criteria"), extensions.FILTER_CRITERIA, "valueString"
        )
        channel = self._kind()
        payload, form = self._payload()
        if channel == "rest-hook" and not self._channel.get("endpoint"):
            self._refuse("required", "A rest-hook has an endpoint", "channel.endpoint")
        read = Definition(
            id=str(self._resource.get("id", "")),
            criteria=criteria,
            topic=topic,
            filters=tuple(str(each) for each in filters) if topic else (),
            channel=channel,
            endpoint=str(self._channel.get("endpoint", "")),
            payload=payload,
            form=form,
            content=self._content(payload) if topic else _CRITERIA_CONTENTS[payload is not None],
            headers=self._headers(),
            heartbeat_seconds=self._seconds(extensions.HEARTBEAT_PERIOD),
            timeout_seconds=self._seconds(extensions.TIMEOUT),
            max_count=self._whole(self._channel, extensions.MAX_COUNT, "valuePositiveInt") or 1,
            end=self._end(),
        )
        if self._issues:
            raise InvalidResourceError(self._issues)
        return read

    def _refuse(self, code: str, message: str, element: str) -> None:
        self._issues.append(Issue("error", code, message, f"Subscription.{element}"))

    def _text(self, given: Json, element: str) -> str:
        if isinstance(given, str) and given.strip():
            return given.strip()
        self._refuse("required", f"A Subscription has {element}", element)
        return ""

    def _kind(self) -> Channel:
        given = str(self._channel.get("type", ""))
        custom = extensions.value(self._channel.get("_type"), extensions.CHANNEL_TYPE, "valueCoding")
        if custom is not None:
            code = custom.get("code") if isinstance(custom, dict) else None
            self._refuse("not-supported", f"The channel type `{code}` is not supported", "channel.type")
        elif given not in _CHANNELS:
            supported = " and ".join(_CHANNELS)
            message = f"The channel type `{given}` is not supported; {supported} are"
            self._refuse("not-supported", message, "channel.type")
        return _CHANNELS.get(given, "websocket")

    def _payload(self) -> tuple[str | None, str]:
        given = self._channel.get("payload")
        if given is None:
            return None, "json"
        plain = str(given).partition(";")[0].strip().lower()
        form = _FORMATS.get(plain)
        if form is None:
            message = f"The payload `{given}` is not supported; {' and '.join(list(_FORMATS)[::2])} are"
            self._refuse("not-supported", message, "channel.payload")
        return str(given), form or "json"

    def _content(self, payload: str | None) -> Content:
        """Return how much of resources notifications of a topic hold; without a word of it nothing."""
        given = extensions.value(self._channel.get("_payload"), extensions.PAYLOAD_CONTENT, "valueCode")
        if given is None:
            return "empty" if payload is None else "id-only"
        if given not in CONTENTS:
            message = f"The payload content `{given}` is not one of {', '.join(CONTENTS)}"
            self._refuse("code-invalid", message, "channel.payload")
        return CONTENTS.get(str(given), "empty")

    def _headers(self) -> tuple[tuple[str, str], ...]:
        found = []
        listed = self._channel.get("header")
        for position, given in enumerate(listed if isinstance(listed, list) else ()):
            where = f"channel.header[{position}]"
            match = _HEADER.fullmatch(given.strip()) if isinstance(given, str) else None
            if match is None:
                # its value may be a secret, which no message repeats
                self._refuse("value", "A header is `Name: value` in ASCII", where)
            elif match[1].lower() in _OWN_HEADERS:
                self._refuse("value", f"The header `{match[1]}` is for the sender to set", where)
            else:
                found.append((match[1], match[2]))
        return tuple(found)

    def _seconds(self, url: str) -> int | None:
        return self._whole(self._channel, url, "valueUnsignedInt") or None

    def _whole(self, element: JsonObject, url: str, key: str) -> int | None:
        given = extensions.value(element, url, key)
        if given is None:
            return None
        if not isinstance(given, int) or isinstance(given, bool) or given < 0:
            name = url.rpartition("/")[2]
            self._refuse("value", f"The extension {name} has no whole number", "channel")
            return None
        return given

    def _end(self) -> datetime | None:
        given = self._resource.get("end")
        if given is None:
            return None
        try:
            end = datetime.fromisoformat(str(given))
        except ValueError:
            end = None
        if end is None or end.tzinfo is None:
            self._refuse("value", f"`{given}` is not an instant", "end")
            return None
        return end
