"""The portal's own style and pictures, served from the package with an ETag.

Everything a page needs stands here: a hospital network has no internet, so no
page refers to another host. The address carries the content's hash, so that a
browser may keep a file for a year and still sees a new one at once.
"""

from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from http import HTTPStatus
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Request, Response

from hie.core.errors import NotFoundError

PATH: Final = "/static"
_MEDIA_TYPES: Final = {"css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
_FOREVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file: its bytes, their media type, and a short hash of them."""

    content: bytes
    media_type: str
    digest: str

    @property
    def tag(self) -> str:
        """The entity tag, https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3."""
        return f'"{self.digest}"'


@cache
def static_files() -> dict[str, StaticFile]:
    """Return every file of the package's `static` folder by name."""
    found: dict[str, StaticFile] = {}
    for entry in files("hie.portal").joinpath("static").iterdir():
        media_type = _MEDIA_TYPES.get(entry.name.rpartition(".")[2])
        if media_type is not None:
            content = entry.read_bytes()
            digest = blake2b(content, digest_size=8).hexdigest()
            found[entry.name] = StaticFile(content, media_type, digest)
    return found


def address(name: str) -> str:
    """Return the address of a file with its hash; raises KeyError for one that is not there."""
    return f"{PATH}/{name}?v={static_files()[name].digest}"


def build_router() -> APIRouter:
    """Return the route of the static files."""
    router = APIRouter(include_in_schema=False)

    @router.get(PATH + "/{name}")
    @router.head(PATH + "/{name}")
    def read(request: Request, name: str) -> Response:
        file = static_files().get(name)
        if file is None:
            raise NotFoundError(f"There is no static file `{name}`")
        headers = {
            "ETag": file.tag,
            "Cache-Control": _FOREVER if request.query_params.get("v") == file.digest else _ASK_AGAIN,
            "X-Content-Type-Options": "nosniff",
        }
        known = request.headers.get("If-None-Match", "")
        if any(tag.strip().removeprefix("W/") in {file.tag, "*"} for tag in known.split(",")):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)

    return router
