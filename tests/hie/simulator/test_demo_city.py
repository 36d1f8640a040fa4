from collections import Counter
from datetime import date

import pytest

from hie.simulator import demo
from hie.simulator.feed import SimulatedMessage
from hie.simulator.run import City


@pytest.fixture(scope="module")
def city() -> City:
    return demo.city(date(2026, 11, 22))


@pytest.fixture(scope="module")
def sent(city: City) -> list[SimulatedMessage]:
    return list(city.messages())


def test_the_demo_city_has_the_size_that_is_promised(city: City, sent: list[SimulatedMessage]) -> None:
    tiers = Counter(each.tier for each in city.institutions)
    assert sum(tiers[tier] for tier in ("三级", "二级", "一级")) >= 10
    assert min(tiers["三级"], tiers["二级"], tiers["一级"]) >= 2
    assert tiers["乡镇卫生院"] >= 20
    assert len(city.population) == 3000
    assert sum(1 for _ in city.registry) >= 6000
    assert city.days == 60
    assert city.outbreak is not None
    assert city.silent is not None
    assert city.borrowed is not None
    assert 12_000 <= len(sent) <= 15_000
    assert len({each.name for each in city.institutions}) == len(city.institutions)
    assert all(each.name.startswith("绿城市") for each in city.institutions)


def test_every_card_of_the_demo_city_is_registered(city: City, sent: list[SimulatedMessage]) -> None:
    registered = {(message.person, message.sender.code) for message in sent if message.event == "ADT^A28"}
    silent = city.silent
    assert silent is not None
    for person, card in city.registry:
        if card.institution is not silent.institution:
            assert (person.id, card.institution.code) in registered
