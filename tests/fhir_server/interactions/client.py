"""A synchronous client of an ASGI application in this process."""

import asyncio
from typing import Any

import httpx
from fastapi import FastAPI


class Client:
    """Requests are relative to the FHIR base and carry FHIR JSON unless told otherwise."""

    def __init__(self, app: FastAPI) -> None:
        """Take the application."""
        self._app = app

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Send a request and return its answer."""
        return asyncio.run(self._request(method, url, options))

    def get(self, url: str, **options: Any) -> httpx.Response:
        """Send a GET."""
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> httpx.Response:
        """Send a POST."""
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Any) -> httpx.Response:
        """Send a PUT."""
        return self.request("PUT", url, **options)

    def delete(self, url: str, **options: Any) -> httpx.Response:
        """Send a DELETE."""
        return self.request("DELETE", url, **options)

    def send(self, request: httpx.Request) -> httpx.Response:
        """Send a request as it is, without the headers that a client adds; return its answer."""
        return asyncio.run(self._send(request))

    async def _send(self, request: httpx.Request) -> httpx.Response:
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        response = await transport.handle_async_request(request)
        await response.aread()
        return response

    async def _request(self, method: str, url: str, options: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport,
            base_url="http://127.0.0.1:8000/fhir/",
            headers={"content-type": "application/fhir+json"},
        ) as client:
            return await client.request(method, url, **options)


def assert_outcome(
    response: httpx.Response, status: int, code: str, diagnostics: str, expression: str | None = None
) -> None:
    """Assert that `response` is exactly this OperationOutcome."""
    issue: dict[str, Any] = {"severity": "error", "code": code, "diagnostics": diagnostics}
    if expression is not None:
        issue["expression"] = [expression]
    assert response.status_code == status, response.text
    assert response.json() == {"resourceType": "OperationOutcome", "issue": [issue]}
    assert response.headers["content-type"].startswith("application/fhir+json")
