"""The server that the clients of a module talk to."""

from collections.abc import Iterator

import pytest

from tests.fhir_server.clients.serving import served


@pytest.fixture(scope="module")
def base_url(server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The FHIR base URL of `hie serve`, with `hie worker` beside it."""
    with served(server_url, template, tmp_path_factory.mktemp("clients"), ("serve", "worker")) as url:
        yield url
