"""The truth files against the messages they explain."""

import csv
import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hie.simulator.feed import SimulatedMessage
from hie.simulator.run import City, write, write_truth
from hie.simulator.vendors import vendors
from hie.simulator.visits import Visit

from .conftest import build


@pytest.fixture(scope="module")
def folder(city: City, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("city")
    write(city, path)
    return path


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def index(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "messages.ndjson").read_text("utf-8").splitlines()]


def card_in(message: SimulatedMessage) -> str:
    """Return PID-3.1 of the first repetition, escapes undone."""
    vendor = vendors()[message.sender.vendor]
    text = message.raw.decode(vendor.charset)
    pid = next(line for line in re.split("[\r\n]+", text) if line.startswith("PID|"))
    return pid.split("|")[3].split("~")[0].split("^")[0].replace("\\T\\", "&")


def test_people_and_cards_of_the_truth_are_those_of_the_messages(
    folder: Path, messages: list[SimulatedMessage]
) -> None:
    people = {row["person"]: row for row in table(folder, "people")}
    cards = {(row["person"], row["institution"], row["card"]) for row in table(folder, "cards")}
    visits = {row["visit"]: row for row in table(folder, "visits")}
    for message in messages:
        assert message.person in people
        assert (message.person, message.sender.code, card_in(message)) in cards
        if message.visit:
            visit = visits[message.visit]
            assert visit["person"] == message.person
            assert visit["institution"] == message.sender.code
            assert visit["is_sent"] == "yes"


def test_names_births_and_id_numbers_of_the_truth_stand_in_the_messages(
    folder: Path, messages: list[SimulatedMessage]
) -> None:
    people = {row["person"]: row for row in table(folder, "people")}
    for message in messages:
        vendor = vendors()[message.sender.vendor]
        text = message.raw.decode(vendor.charset).replace("^", "")
        person = people[message.person]
        names = {person["name"], person["former_name"]} - {""}
        possible = {name.encode(vendor.charset, "replace").decode(vendor.charset) for name in names}
        if "·" not in person["name"] or vendor.name_style == "whole":
            assert any(name in text for name in possible), names
        assert person["birth"].replace("-", "") in text
        assert person["id_number"] in text
        assert person["phone"] in text or person["former_phone"] in text


def test_the_index_lists_every_message_in_order(folder: Path, messages: list[SimulatedMessage]) -> None:
    rows = index(folder)
    listed = [
        (row["control_id"], row["sender"], row["event"], row["person"], row["is_resend"]) for row in rows
    ]
    sent = [(each.control_id, each.sender.code, each.event, each.person, each.is_resend) for each in messages]
    assert listed == sent
    assert [row["time"] for row in rows] == [each.time.isoformat() for each in messages]


def test_files_of_the_senders_hold_their_messages_one_after_another(
    folder: Path, city: City, messages: list[SimulatedMessage]
) -> None:
    for institution in city.institutions:
        sent = b"".join(message.raw for message in messages if message.sender is institution)
        path = folder / "messages" / f"{institution.code}.hl7"
        assert (path.read_bytes() if path.exists() else b"") == sent


def test_institutions_have_their_tier_division_and_manner_of_speaking(folder: Path, city: City) -> None:
    rows = {row["institution"]: row for row in table(folder, "institutions")}
    assert set(rows) == {each.code for each in city.institutions}
    assert {row["tier"] for row in rows.values()} >= {"三级", "二级", "一级", "乡镇卫生院"}
    assert all(row["zone"] == "Asia/Shanghai" and row["charset"] for row in rows.values())


def test_one_card_is_used_by_two_people_and_the_truth_names_both(
    folder: Path, messages: list[SimulatedMessage]
) -> None:
    (conflict,) = [row for row in table(folder, "incidents") if row["incident"] == "card-conflict"]
    users = {
        message.person
        for message in messages
        if message.sender.code == conflict["institution"] and card_in(message) == conflict["card"]
    }
    assert users == set(conflict["persons"].split())
    assert len(users) == 2
    holders = Counter((row["institution"], row["card"]) for row in table(folder, "cards"))
    assert [card for card, count in holders.items() if count > 1] == [
        (conflict["institution"], conflict["card"])
    ]


def test_the_silent_hospital_spoke_daily_until_it_fell_silent(
    folder: Path, messages: list[SimulatedMessage]
) -> None:
    (silence,) = [row for row in table(folder, "incidents") if row["incident"] == "silent-hospital"]
    days = {each.time.date() for each in messages if each.sender.code == silence["institution"]}
    assert max(days).isoformat() <= silence["since"][:10]
    assert len(days) > 10
    lost = [row for row in table(folder, "visits") if row["is_sent"] == "no"]
    assert lost
    assert all(
        row["institution"] == silence["institution"] and row["start"] >= silence["since"] for row in lost
    )


def test_an_inpatient_is_seen_nowhere_else_before_the_day_of_discharge() -> None:
    stays: dict[int, list[Visit]] = {}
    crowded = build(people=9000, days=60)
    for visit in crowded.visits:
        stays.setdefault(visit.person.index, []).append(visit)
    inpatients = 0
    for visits in stays.values():
        for first, second in pairwise(visits):
            if first.patient_class == "I" or first.is_admitted:
                inpatients += 1
                assert second.start > first.end
    assert inpatients > 20


def test_a_changed_phone_is_known_from_its_a31_on_and_not_before(
    folder: Path, messages: list[SimulatedMessage]
) -> None:
    changed = {row["person"]: row for row in table(folder, "people") if row["former_phone"]}
    changes = 0
    for person, row in changed.items():
        known = False
        for message in (each for each in messages if each.person == person and not each.is_resend):
            known = known or message.event == "ADT^A31"
            pid = next(line for line in re.split(b"[\r\n]+", message.raw) if line.startswith(b"PID|"))
            phones = {row["phone"].encode(), row["former_phone"].encode()}
            (seen,) = (phone for phone in phones if phone in pid)
            if known:
                changes += 1
                assert seen == row["phone"].encode()
            elif message.event == "ADT^A28" and message.time.hour < 6:
                assert seen == row["former_phone"].encode()
    assert changes > 10


def test_newborns_are_registered_unnamed_and_some_are_named_later(
    folder: Path, messages: list[SimulatedMessage]
) -> None:
    newborns = {row["person"]: row for row in table(folder, "people") if row["mother"]}
    assert newborns
    for person, row in newborns.items():
        sent = [message for message in messages if message.person == person]
        if not sent:
            continue
        vendor = vendors()[sent[0].sender.vendor]
        assert sent[0].event == "ADT^A28"
        assert "之" in sent[0].raw.decode(vendor.charset)
        renamed = [message for message in sent if message.event == "ADT^A31"]
        assert bool(renamed) == bool(row["former_name"])
    assert any(row["former_name"] for row in newborns.values())


def test_truth_alone_is_the_truth_written_with_the_messages(folder: Path, city: City, tmp_path: Path) -> None:
    write_truth(city, tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted(path.name for path in folder.glob("*.csv"))
    assert all((tmp_path / name).read_bytes() == (folder / name).read_bytes() for name in names)


def test_progress_is_told_and_ends_with_the_number_of_messages(city: City, tmp_path: Path) -> None:
    told: list[int] = []
    written = write(city, tmp_path, told.append)
    assert told == sorted(told)
    assert told[-1] == written
    assert len(told) > 2
