"""The whole application for a requester of the test's choice."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from hie import app
from hie.core.access import Requester
from hie.core.fhir.json import Json, dumps, loads
from tests.fhir_server.bad_input.api import Client
from tests.hie.policy.conftest import Known
from tests.hie.rights.city import Town

As = Callable[[Requester], Client]
JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@contextmanager
def serving(city: Town) -> Iterator[As]:
    """Yield what gives a client for each requester."""
    clients: dict[Requester, Client] = {}
    with ExitStack() as opened:

        def client(requester: Requester) -> Client:
            if requester not in clients:
                built = app.build(city.exchange)
                built.user_middleware.clear()  # who asks is told by the test, not by a session
                built.add_middleware(Known, requester=requester)
                clients[requester] = opened.enter_context(Client(built))
            return clients[requester]

        yield client


def post(client: Client, path: str, body: Json) -> tuple[int, Json]:
    """Return status and content of the answer to a POST of JSON."""
    answer = client.request("POST", path, content=dumps(body), headers=JSON)
    return answer.status_code, loads(answer.content)


def get(client: Client, path: str) -> tuple[int, Json]:
    """Return status and content of the answer to a GET of JSON."""
    answer = client.request("GET", path, headers={"accept": "application/json"})
    return answer.status_code, loads(answer.content)
