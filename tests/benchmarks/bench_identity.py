"""What authentication costs: the check of a token, a token request, a sign-in.

The check is what every request pays: of a token that is known already (its digest is looked up), and of one
that is seen first (its signature is verified).
"""

import os
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from hie import wiring
from hie.core.access import Role
from hie.core.db import embedded
from hie.core.settings import Settings
from hie.identity.accounts import add_account
from hie.identity.clients import Registration, register
from hie.migrations import upgrade

_PASSWORD = "Vier-Wände7 kosten"  # noqa: S105 - of an account that lives as long as the benchmark


def main(size: str) -> None:
    """Print microseconds a call, as CPU time of this process."""
    repeat = {"small": 1, "full": 10}[size]
    server = os.environ.get("HIE_TEST_DATABASE_URL") or embedded.url(
        embedded.start(Path("var") / "bench" / "postgres")
    )
    name = f"hie_bench_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    url = make_url(server).set(database=name).render_as_string(hide_password=False)
    try:
        upgrade(url)
        with tempfile.TemporaryDirectory() as folder:
            _measure(url, Path(folder), repeat)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _measure(url: str, folder: Path, repeat: int) -> None:
    settings = Settings(auth="on", var_dir=folder)
    with wiring.build(settings, database_url=url) as exchange:
        identity = exchange.identity
        identity.prepare()
        with exchange.database.transaction() as transaction:
            registration = Registration(
                "System",
                "client_secret_basic",
                ("system/*.rs",),
                grant_types=("client_credentials",),
                client_id="bench",
            )
            register(transaction, registration, now=exchange.clock.now())
            add_account(
                transaction,
                "bench",
                roles=[Role.CLINICIAN],
                password=_PASSWORD,
                rule=identity.password_rule,
                now=exchange.clock.now(),
            )
        authenticator = identity.authenticator

        def new_token() -> str:
            return str(identity.token_for_client("bench", "system/*.rs").body["access_token"])

        token = new_token()
        headers = {"authorization": f"Bearer {token}", "accept": "application/fhir+json", "host": "localhost"}
        authenticator.authenticate(headers)
        fresh = iter([new_token() for _ in range(300 * repeat)])
        _report("check of a known token", lambda: authenticator.authenticate(headers), 20_000 * repeat)
        _report(
            "check of a new token",
            lambda: authenticator.authenticate({"authorization": f"Bearer {next(fresh)}"}),
            300 * repeat,
        )
        _report("token for a system, signed and stored", new_token, 100 * repeat)
        _report("sign-in (argon2id)", lambda: identity.sign_in.by_password("bench", _PASSWORD), 5 * repeat)
        _report("sign-in, no such account", lambda: identity.sign_in.by_password("nobody", _PASSWORD), 3)


def _report(what: str, call: Callable[[], object], count: int) -> None:
    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        call()
    wall, spent = time.perf_counter() - began, time.process_time() - cpu
    print(
        f"{what:42} {spent / count * 1e6:10.1f} µs CPU {wall / count * 1e6:10.1f} µs wall   ({count} calls)"
    )
