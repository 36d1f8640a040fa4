"""A town on a database of its own."""

from collections.abc import Iterator

import pytest

from tests.conftest import fresh_database
from tests.hie.rights.city import Town, town


@pytest.fixture(scope="module")
def a_town(server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """One town for all tests of a module; each begins with no request."""
    folder = tmp_path_factory.mktemp("var")
    with fresh_database(server_url, template) as url, town(url, folder) as opened:
        yield opened


@pytest.fixture
def city(a_town: Town) -> Iterator[Town]:
    """The town of the module; what is open is closed behind the test, the clock goes on."""
    yield a_town
    with a_town.exchange.database.transaction() as transaction:
        transaction.connection.execute(
            "UPDATE rights_request SET state = 'cancelled' WHERE state IN ('requested', 'accepted')"
        )
