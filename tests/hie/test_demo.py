"""The demo city's directory and its messages meet: each message finds the institution that was published."""

from datetime import UTC, date, datetime

from hie import demo, wiring
from hie.core.fhir.json import loads
from hie.core.settings import Settings
from hie.simulator.run import City
from hl7_gateway.er7.reader import read
from hl7_gateway.senders import Senders


def test_messages_of_every_vendor_find_their_institution(database_url: str) -> None:
    city = City.build(people=400, days=20, seed=3, end=date(2026, 11, 1))
    settings = Settings()
    senders = Senders(settings)
    with wiring.build(settings, database_url=database_url) as exchange:
        demo.publish_directory(exchange, city)
        seen: set[str] = set()
        for message in city.messages():
            if message.sender.vendor in seen:
                continue
            seen.add(message.sender.vendor)
            parsed = read(message.raw)
            conversion = exchange.engine.convert(
                parsed, senders.of(parsed, message.raw), received=datetime(2026, 11, 2, tzinfo=UTC)
            )
            with exchange.database.transaction() as transaction:
                (result,) = exchange.repository.transact(transaction, [conversion.bundle])
                assert result.error is None, result.error
        assert len(seen) == 8
        with exchange.database.transaction() as transaction:
            page = exchange.repository.search(transaction, "Organization", [("_count", "1000")])
        organizations = [loads(entry.resource.body or b"{}") for entry in page.entries]
        named = {found["name"] for found in organizations}
        assert named >= {institution.name for institution in city.institutions}
        codes = {institution.code for institution in city.institutions}
        assert not codes & named, "an institution was made a second time by its own message"
