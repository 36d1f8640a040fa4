"""Where an import reads from: files that the operator allows, or what a client sent.

A URL is read only if it begins with one of the prefixes of a setting (none by default): a server that
fetched what anybody names would be a way into its network. The prefix ends at a slash, and a
path may not climb.
"""

import gzip
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import IO, Final, cast
from urllib.parse import unquote, urlsplit

from hie.core.errors import ForbiddenError, NotFoundError, ParameterValueError, UnavailableError
from hie.core.web.outgoing import CheckedHTTPConnection, CheckedHTTPSConnection

_BLOCK_BYTES: Final = 1 << 20
_TIMEOUT_SECONDS: Final = 60.0
_SCHEMES: Final = frozenset({"file", "http", "https"})
_GZIP: Final = b"\x1f\x8b"  # RFC 1952, 2.3.1


def check_source(url: str, allowed: tuple[str, ...], *, expression: str) -> None:
    """Raise ForbiddenError unless `url` lies below one of the prefixes that are `allowed`."""
    if urlsplit(url).scheme not in _SCHEMES:
        raise ParameterValueError(f"`{url}` is not a URL that can be imported", expression=expression)
    if not any(_is_below(url, prefix.removesuffix("/") + "/") for prefix in allowed):
        raise ForbiddenError(
            f"`{url}` may not be imported; HIE_IMPORT_SOURCES names what may", expression=expression
        )


def fetch(url: str, target: Path, *, check: Callable[[], None] = lambda: None) -> Path:
    """Return a plain local file with the content of `url`: itself, or `target`, written as a whole.

    `check` is called for every piece and may raise. Raises NotFoundError where there is nothing,
    UnavailableError when it cannot be read now.
    """
    local = _local(url)
    try:
        if local is not None:
            with local.open("rb") as stream:
                if stream.read(2) != _GZIP:
                    return local
                stream.seek(0)
                return _copy(stream, target, check)
        with _opener().open(url, timeout=_TIMEOUT_SECONDS) as stream:
            return _copy(stream, target, check)
    except FileNotFoundError as error:
        raise NotFoundError(f"`{url}` does not exist") from error
    except urllib.error.HTTPError as error:
        with error:
            if error.code < HTTPStatus.INTERNAL_SERVER_ERROR:
                raise NotFoundError(f"`{url}` is answered with {error.code}") from error
            raise UnavailableError(f"`{url}` is answered with {error.code}") from error
    except (OSError, EOFError) as error:
        raise UnavailableError(f"`{url}` cannot be read: {type(error).__name__}") from error


def read_lines(path: Path, offset: int, limit_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Return the lines of `path` from the byte `offset` on, each with the offset behind it.

    Of a line longer than `limit_bytes` only so much is returned, which is no JSON.
    """
    with path.open("rb") as file:
        file.seek(offset)
        while line := file.readline(limit_bytes + 1):
            if not line.endswith(b"\n") and len(line) > limit_bytes:
                while (rest := file.readline(_BLOCK_BYTES)) and not rest.endswith(b"\n"):
                    pass
            yield file.tell(), line


def _is_below(url: str, prefix: str) -> bool:
    if not url.startswith(prefix) or ".." in unquote(urlsplit(url).path).split("/"):
        return False
    path, root = _local(url), _local(prefix)
    # A link below the folder may lead out of it.
    return path is None or root is None or path.resolve().is_relative_to(root.resolve())


def _local(url: str) -> Path | None:
    """Return the path of a URL of a file, None for another."""
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nothing: where an allowed source points to was not allowed."""

    def redirect_request(self, *_: object) -> None:
        """Return no request."""


class _Checked(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Connect to an address that was looked at."""
        return self.do_open(CheckedHTTPConnection, req)


class _CheckedTLS(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Connect to an address that was looked at."""
        return self.do_open(CheckedHTTPSConnection, req)


@cache
def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_NoRedirect, _Checked, _CheckedTLS, urllib.request.ProxyHandler({}))


def _copy(stream: IO[bytes], target: Path, check: Callable[[], None]) -> Path:
    """Copy `stream`, gzip or not, to `target`, which is there when it is complete."""
    draft = target.with_suffix(".draft")
    with draft.open("wb") as raw:
        _copy_pieces(stream, raw, check)
    with draft.open("rb") as file:
        is_packed = file.read(2) == _GZIP
    if is_packed:
        plain = target.with_suffix(".plain")
        with gzip.open(draft, "rb") as packed, plain.open("wb") as file:
            _copy_pieces(cast("IO[bytes]", packed), file, check)
        plain.replace(draft)
    draft.replace(target)
    return target


def _copy_pieces(source: IO[bytes], target: IO[bytes], check: Callable[[], None]) -> None:
    while piece := source.read(_BLOCK_BYTES):
        check()
        target.write(piece)
