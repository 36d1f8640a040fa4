"""What the senders put on the wire, read with hl7apy and with Python's own codecs."""

import re
from collections import Counter, defaultdict
from itertools import pairwise

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from hie.core.errors import ConfigurationError
from hie.simulator.feed import SimulatedMessage
from hie.simulator.run import City
from hie.simulator.vendors import vendors

from .conftest import END, build

EVENTS = (
    {f"ADT^A{number:02d}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 28, 31)}
    | {"ORU^R01", "ORM^O01", "OML^O21"}
)  # fmt: skip
DECLARED = {
    None: "utf-8",
    "UNICODE UTF-8": "utf-8",
    "GB 18030-2000": "gb18030",
    "GB18030": "gb18030",
    "GBK": "gbk",
}
"""MSH-18 as sent, and the codec a reader takes from it (table 0211; None: the sender's default)."""


def fields(message: SimulatedMessage, name: str) -> list[list[str]]:
    """Return the segments `name` split at |, fields by HL7 number (MSH shifted by one)."""
    text = decoded(message)
    rows = [line.split("|") for line in re.split("\r\n|\r|\n", text) if line.startswith(name)]
    return [["MSH", *row] if name == "MSH" else row for row in rows]


def decoded(message: SimulatedMessage) -> str:
    header = message.raw.split(b"\r")[0].split(b"\n")[0].split(b"|")
    declared = header[17].decode("ascii") if len(header) > 17 and header[17] else None
    return message.raw.decode(DECLARED[declared])


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(messages: list[SimulatedMessage]) -> None:
    again = list(build().messages())
    assert [message.raw for message in again] == [message.raw for message in messages]
    assert again == messages
    other = build(seed=8).messages()
    assert {next(other).raw for _ in range(200)}.isdisjoint({message.raw for message in messages})


def test_one_city_object_gives_its_messages_again(city: City, messages: list[SimulatedMessage]) -> None:
    assert [message.raw for message in city.messages()] == [message.raw for message in messages]


def test_messages_come_in_time_order_and_none_after_the_last_day(messages: list[SimulatedMessage]) -> None:
    assert all(first.time <= second.time for first, second in pairwise(messages))
    assert messages[-1].time.date() <= END
    assert all(message.time.tzinfo is not None for message in messages)


def test_every_event_and_every_version_from_2_3_to_2_8_is_spoken() -> None:
    large = build(people=4500, days=40)
    seen = Counter(message.event for message in large.messages())
    assert set(seen) == EVENTS
    versions = {vendor.version for vendor in vendors().values()}
    assert versions == {"2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8"}
    assert {each.vendor for each in large.institutions} == set(vendors())


def test_control_ids_are_unique_but_for_resends_which_repeat_the_bytes(
    messages: list[SimulatedMessage],
) -> None:
    first: dict[tuple[str, str], SimulatedMessage] = {}
    resends = 0
    for message in messages:
        key = (message.sender.code, message.control_id)
        assert len(message.control_id) <= 20
        if message.is_resend:
            resends += 1
            assert first[key].raw == message.raw
        else:
            assert key not in first
            first[key] = message
    assert resends > 0
    assert len({control_id for _, control_id in first}) == len(first)


def test_headers_say_what_the_message_is(messages: list[SimulatedMessage]) -> None:
    for message in messages:
        vendor = vendors()[message.sender.vendor]
        (header,) = fields(message, "MSH")
        assert header[9].startswith(message.event)
        assert header[10] == message.control_id
        assert header[12] == vendor.version
        assert header[4].split("^")[0] == message.sender.code
        if vendor.has_structure:
            assert re.fullmatch(r"\w{3}\^\w\d\d\^\w{3}_\w\d\d", header[9])
        if not message.is_resend:
            assert header[7][:12] == f"{message.time:%Y%m%d%H%M}"


def test_every_kind_of_message_parses_with_hl7apy_without_losing_a_segment(
    messages: list[SimulatedMessage],
) -> None:
    seen: Counter[tuple[str, str]] = Counter()
    for message in messages:
        kind = (message.sender.vendor, message.event)
        seen[kind] += 1
        if seen[kind] > 2:  # hl7apy takes 20 ms a message
            continue
        text = re.sub("\r\n|\n", "\r", decoded(message))
        vendor = vendors()[message.sender.vendor]
        if vendor.version < "2.7":  # hl7apy knows a fifth encoding character from 2.7 on only
            text = text.replace("MSH|^~\\&#|", "MSH|^~\\&|", 1)
        parsed = parse_message(text, validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=False)
        assert [child.name for child in parsed.children] == [
            line[:3] for line in text.strip("\r").split("\r")
        ]
        assert parsed.msh.msh_10.to_er7() == message.control_id
    assert len(seen) > 60


def test_every_message_decodes_in_the_character_set_it_declares(messages: list[SimulatedMessage]) -> None:
    declared = Counter()  # type: Counter[str]
    for message in messages:
        text = decoded(message)
        (row,) = fields(message, "PID")
        name = row[5]
        assert any(character >= "\u4e00" or character in "?·" for character in name), name
        assert "\ufffd" not in text
        declared[(fields(message, "MSH")[0] + [""] * 20)[18]] += 1
    assert set(declared) == {"", "UNICODE UTF-8", "GB 18030-2000", "GB18030", "GBK"}


def test_quirks_of_the_vendors_are_on_the_wire(messages: list[SimulatedMessage]) -> None:
    by_vendor: dict[str, list[SimulatedMessage]] = defaultdict(list)
    for message in messages:
        by_vendor[message.sender.vendor].append(message)
    suohe, yunhuai, lvhe = by_vendor["suohe"], by_vendor["yunhuai"], by_vendor["lvhe"]
    assert all(b"\r" not in message.raw and message.raw.endswith(b"\n") for message in suohe)
    assert all(fields(message, "MSH")[0][9] == message.event for message in suohe)
    assert all(row[3] == "" for message in suohe for row in fields(message, "OBR"))
    assert all(row[8] in "12" for message in suohe for row in fields(message, "PID"))
    assert all(b"\r\n" in message.raw for message in lvhe)
    assert all(message.raw.startswith(b"MSH|^~\\&#|") for message in yunhuai)
    assert all(line.endswith("|||") for line in decoded(yunhuai[0]).split("\r") if line)
    assert any(fields(message, "ZVN") for message in yunhuai)
    assert all("^" not in row[5] for message in by_vendor["qingwu"] for row in fields(message, "PID"))
    assert any(
        "~" in row[5] and row[5].isascii() is False for m in by_vendor["songyue"] for row in fields(m, "PID")
    )
    assert any(row[8] in "↑↓" and row[8] for m in by_vendor["qingwu"] for row in fields(m, "OBX"))


@pytest.mark.parametrize("arguments", [{"people": 0}, {"days": 0}, {"hospitals": 0}])
def test_a_city_of_nothing_is_refused(arguments: dict[str, int]) -> None:
    size = {"people": 10, "hospitals": 3, "days": 3} | arguments
    with pytest.raises(ConfigurationError):
        City.build(
            people=size["people"], hospitals=size["hospitals"], clinics=1, days=size["days"], seed=1, end=END
        )


@pytest.mark.parametrize(
    ("people", "hospitals", "clinics", "days"), [(1, 1, 0, 1), (5, 2, 1, 2), (60, 3, 0, 8)]
)
def test_a_tiny_city_speaks_too(people: int, hospitals: int, clinics: int, days: int) -> None:
    tiny = City.build(people=people, hospitals=hospitals, clinics=clinics, days=days, seed=1, end=END)
    senders = {message.sender.code for message in tiny.messages()}
    assert senders
    assert senders <= {each.code for each in tiny.institutions}


def test_nothing_is_sent_after_the_moment_given_as_until() -> None:
    whole = build(people=300, days=5)
    middle = whole.until.replace(hour=12, minute=0, second=0, microsecond=0)
    cut = City.build(people=300, hospitals=9, clinics=13, days=5, seed=2, end=END, until=middle)
    times = [message.time for message in cut.messages()]
    assert max(times) <= middle
    assert times == [message.time for message in whole.messages() if message.time <= middle]
