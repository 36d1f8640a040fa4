"""A client of the whole application; a fault of the application is its 500 answer."""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response

from hie.core.fhir.json import Json


class Client:
    """Sends requests to `app` as its server would."""

    def __init__(self, app: FastAPI) -> None:
        self._runner = asyncio.Runner()
        transport = ASGITransport(app, raise_app_exceptions=False, client=("10.0.0.7", 50_000))
        self._client = AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Json = None,
        content: bytes | None = None,
        data: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Return the answer; `json` or `data` is the body."""
        return self._runner.run(
            self._client.request(
                method, path, json=json, content=content, data=data, params=params, headers=headers
            )
        )

    def get(
        self, path: str, *, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Return the answer to a GET."""
        return self.request("GET", path, params=params, headers=headers)

    def post(
        self,
        path: str,
        *,
        json: Json = None,
        content: bytes | None = None,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Return the answer to a POST."""
        return self.request("POST", path, json=json, content=content, data=data, headers=headers)

    def put(self, path: str, *, json: Json, headers: Mapping[str, str] | None = None) -> Response:
        """Return the answer to a PUT."""
        return self.request("PUT", path, json=json, headers=headers)

    def patch(self, path: str, *, json: Json, headers: Mapping[str, str] | None = None) -> Response:
        """Return the answer to a PATCH."""
        return self.request("PATCH", path, json=json, headers=headers)

    def delete(self, path: str) -> Response:
        """Return the answer to a DELETE."""
        return self.request("DELETE", path)
