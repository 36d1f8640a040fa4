"""The websocket of a served process: bind-with-token, handshake, events, heartbeats, tokens."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from hie import wiring
from hie.core.fhir.json import Json, JsonObject, dumps
from hie.core.settings import Settings
from hie.worker import deliver_all
from tests.fhir_server.subscriptions.processes import serving
from tests.fhir_server.subscriptions.server import patient, topic_subscription
from tests.fhir_server.subscriptions.websocket_client import WebSocket

Put = Callable[..., None]
# Each test has patients of its own.
FILTERS = [(f"_id=a{number},b{number},c{number}",) for number in range(10)]


@pytest.fixture(scope="module")
def module_url(server_url: str, template: str) -> Iterator[str]:
    """The URL of a database that the tests of this module share."""
    name = f"{template}_websocket"
    with psycopg.connect(server_url, autocommit=True) as maintenance:
        maintenance.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
    yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(server_url, autocommit=True) as maintenance:
        maintenance.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, module_url: str) -> Iterator[str]:
    """The FHIR base URL of a served process; each test has subscriptions and patients of its own."""
    with serving(tmp_path_factory.mktemp("served"), module_url, {}) as url:
        yield url


@pytest.fixture
def put(base: str, module_url: str, tmp_path: Path) -> Iterator[Put]:
    """Update resources by HTTP, and deliver the outbox as a worker does."""
    with (
        wiring.build(Settings(var_dir=tmp_path, base_url=base), database_url=module_url) as exchange,
        httpx.Client() as client,
    ):

        def update(*resources: JsonObject) -> None:
            for each in resources:
                answer = client.put(
                    f"{base}/{each['resourceType']}/{each['id']}",
                    content=dumps(each),
                    headers={"content-type": "application/fhir+json"},
                )
                assert answer.status_code < 300, answer.text
            deliver_all(exchange)

        yield update


def _token(base: str, *ids: str) -> tuple[str, str]:
    if len(ids) == 1:
        answer = httpx.get(f"{base}/Subscription/{ids[0]}/$get-ws-binding-token")
    else:
        answer = httpx.get(f"{base}/Subscription/$get-ws-binding-token", params={"id": list(ids)})
    assert answer.status_code == 200, answer.text
    values = {each["name"]: each for each in answer.json()["parameter"]}
    return values["token"]["valueString"], values["websocket-url"]["valueUrl"]


def _kind(bundle: JsonObject) -> Json:
    return _value(bundle, "type", "valueCode")


def _value(bundle: JsonObject, name: str, key: str) -> Any:
    parameters = bundle["entry"][0]["resource"]["parameter"]
    return next(each[key] for each in parameters if each["name"] == name)


def _number(bundle: JsonObject) -> int:
    assert _kind(bundle) == "event-notification"
    return int(_value(bundle, "notification-event", "part")[0]["valueString"])


def test_bound_websocket_is_told_what_happens(base: str, put: Put) -> None:
    put(topic_subscription("s0", "patient-change", None, filters=FILTERS[0]))
    assert httpx.get(f"{base}/Subscription/s0").json()["status"] == "active"
    token, url = _token(base, "s0")
    with WebSocket(url) as socket, WebSocket(url) as other:
        socket.send(f"bind-with-token {token}")
        other.send(f'{{"type": "bind-with-token", "payload": {{"token": "{token}"}}}}')
        for each in (socket, other):
            handshake = each.receive_json()
            assert (_kind(handshake), handshake["type"]) == ("handshake", "history")
        put(patient("a0"), patient("b0"))
        for each in (socket, other):
            first, second = each.receive_json(), each.receive_json()
            assert (_number(first), _number(second)) == (1, 2)
            assert second["entry"][1]["fullUrl"] == f"{base}/Patient/b0"


def test_events_of_the_time_without_connection_come_after_the_handshake(base: str, put: Put) -> None:
    put(topic_subscription("s1", "patient-change", None, filters=FILTERS[1]))
    token, url = _token(base, "s1")
    with WebSocket(url) as socket:
        socket.send(f"bind-with-token: {token}")
        assert _kind(socket.receive_json()) == "handshake"
        put(patient("a1"))
        assert _number(socket.receive_json()) == 1
    put(patient("b1"), patient("c1"))
    with WebSocket(url) as socket:
        socket.send(f"bind-with-token {token}")
        assert _kind(socket.receive_json()) == "handshake"
        numbers = [_number(socket.receive_json())]
        while numbers[-1] < 3:
            numbers.append(_number(socket.receive_json()))
    # the first connection may have ended before it was noted that it was told
    assert numbers in ([2, 3], [1, 2, 3])


def test_heartbeat_keeps_the_connection_alive(base: str, put: Put) -> None:
    put(
        topic_subscription(
            "s2", "patient-change", None, filters=FILTERS[2], heartbeat_period={"valueUnsignedInt": 1}
        )
    )
    token, url = _token(base, "s2")
    with WebSocket(url) as socket:
        socket.send(f"bind-with-token {token}")
        assert [_kind(socket.receive_json()) for _ in range(3)] == ["handshake", "heartbeat", "heartbeat"]


def test_one_token_binds_all_subscriptions_of_websockets(base: str, put: Put) -> None:
    put(
        topic_subscription("s3", "patient-change", None, filters=FILTERS[3]),
        topic_subscription("t3", "patient-change", None),
    )
    token, url = _token(base, "s3", "t3")
    with WebSocket(url) as socket:
        socket.send(f"bind-with-token {token}")
        named = [_value(socket.receive_json(), "subscription", "valueReference") for _ in range(2)]
    assert sorted(each["reference"] for each in named) == [
        f"{base}/Subscription/s3",
        f"{base}/Subscription/t3",
    ]


def test_what_is_no_binding_is_answered_with_an_outcome(base: str, put: Put) -> None:
    put(topic_subscription("s4", "patient-change", None, filters=FILTERS[4]))
    _, url = _token(base, "s4")
    with WebSocket(url) as socket:
        socket.send("bind-with-token wrong")
        assert socket.receive_json()["issue"][0]["code"] == "forbidden"
        for text in ("hello", "[1]", '{"type": "bind-with-token"}', "x" * 5000):
            socket.send(text)
            answer = socket.receive_json()
            assert answer["issue"][0]["diagnostics"] == "The message is not `bind-with-token` with a token"


def test_token_is_for_subscriptions_by_websocket_only(base: str, put: Put) -> None:
    put(topic_subscription("hook", "patient-change", "http://127.0.0.1:1/x"))
    answer = httpx.get(f"{base}/Subscription/hook/$get-ws-binding-token")
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["diagnostics"] == (
        "`Subscription/hook` is told by rest-hook, not by websocket"
    )
    assert httpx.get(f"{base}/Subscription/none/$get-ws-binding-token").status_code == 404


def test_other_host_cannot_connect(base: str, put: Put) -> None:
    put()
    url = base.replace("http", "ws", 1).replace("127.0.0.1", "localhost") + "/ws"
    with WebSocket(url):
        pass
    answer = httpx.get(
        f"{base}/ws",
        headers={
            "Host": "evil.example",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13",
        },
    )
    assert answer.status_code == 403
