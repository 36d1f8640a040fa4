"""A browser without JavaScript: requests to an application in this process, with cookies."""

import asyncio
from typing import Any

import httpx
from fastapi import FastAPI


class Browser:
    """Keeps cookies between requests; follows no redirect unless told to."""

    accept = "text/html"
    base = "http://testserver"

    def __init__(self, app: FastAPI) -> None:
        """Take the application."""
        self._app = app
        self.cookies = httpx.Cookies()

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Return the answer to a GET."""
        return asyncio.run(self._request("GET", path, options))

    def post(self, path: str, **options: Any) -> httpx.Response:
        """Return the answer to a POST."""
        return asyncio.run(self._request("POST", path, options))

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Return the answer to a request of any method."""
        return asyncio.run(self._request(method, path, options))

    async def _request(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport,
            base_url=self.base,
            cookies=self.cookies,
            headers={"Accept": self.accept},
        ) as client:
            response = await client.request(method, path, **options)
            self.cookies = client.cookies
            return response
