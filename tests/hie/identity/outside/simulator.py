"""Providers of identity as strict as real ones: HTTP servers that refuse what a real one refuses.

OpenID Connect, plain OAuth 2 and WeChat's web-page authorization. What they are told to get wrong
(`faults`) is what an attacker or a broken provider would.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlencode, urlsplit
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from hie.core.clock import Clock

CLIENT_ID = "hie"
SECRET = "a secret: of/the+client"  # noqa: S105 - of a simulator


@dataclass
class Simulator:
    """One provider. `person` is who signs in there: claims, `sub` among them (of WeChat openid, unionid)."""

    kind: Literal["oidc", "oauth2", "wechat"]
    redirect_uri: str
    clock: Clock
    person: dict[str, Any] = field(default_factory=dict)
    faults: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the key and listen."""
        self.key = RSAKey.generate_key(2048, {"kid": "k1", "alg": "RS256", "use": "sig"})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: str) -> "Reply":
        """Return status, headers and body for one request."""
        path, query = urlsplit(target).path, _flat(urlsplit(target).query)
        self.requests.append(f"{method} {path}")
        authorization = headers.get("Authorization", "")
        reply = _json({"error": "not found"}, 404)
        match method, path:
            case "GET", "/.well-known/openid-configuration" if self.kind == "oidc":
                reply = _json(self._configuration())
            case "GET", "/jwks":
                reply = _json(KeySet([self.key]).as_dict(private=False))
            case "GET", "/authorize":
                reply = self._authorize(query)
            case "POST", "/token" if self.kind != "wechat":
                reply = self._token(_flat(body), authorization)
            case "GET", "/sns/oauth2/access_token" if self.kind == "wechat":
                reply = self._wechat_token(query)
            case "GET", "/userinfo":
                claims = self.tokens.get(authorization.removeprefix("Bearer "))
                reply = _json(claims | self.faults.get("userinfo", {})) if claims else _json({}, 401)
        return reply

    def _configuration(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "end_session_endpoint": f"{self.issuer}/logout",
            "authorization_response_iss_parameter_supported": True,
            **self.faults.get("configuration", {}),
        }

    def _authorize(self, query: dict[str, str]) -> "Reply":
        client = query.get("appid" if self.kind == "wechat" else "client_id")
        if client != CLIENT_ID or query.get("redirect_uri") != self.redirect_uri:
            return _json({"error": "invalid_client or redirect_uri"}, 400)
        wanted = {"response_type", "state"} | (
            set() if self.kind == "wechat" else {"code_challenge", "code_challenge_method"}
        )
        wanted |= {"nonce", "scope"} if self.kind == "oidc" else set()
        if wanted - query.keys() or query["response_type"] != "code":
            return _json({"error": "invalid_request"}, 400)
        if self.kind != "wechat" and query["code_challenge_method"] != "S256":
            return _json({"error": "invalid_request"}, 400)
        back = {"state": query["state"]}
        if self.kind == "oidc":
            back["iss"] = self.faults.get("iss", self.issuer)
        if self.faults.get("denied"):
            back |= {} if self.kind == "wechat" else {"error": "access_denied"}
        else:
            code = uuid4().hex
            self.codes[code] = query
            back["code"] = code
        return 302, {"Location": f"{self.redirect_uri}?{urlencode(back)}"}, b""

    def _token(self, form: dict[str, str], authorization: str) -> "Reply":
        scheme, _, credentials = authorization.partition(" ")
        pair = base64.b64decode(credentials).decode() if scheme == "Basic" else ""
        if tuple(map(unquote, pair.split(":", 1))) != (CLIENT_ID, SECRET):
            return _json({"error": "invalid_client"}, 401)
        asked = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        is_right = (
            asked is not None
            and form.get("grant_type") == "authorization_code"
            and form.get("redirect_uri") == asked["redirect_uri"]
            and challenge == asked["code_challenge"]
        )
        if asked is None or not is_right:
            return _json({"error": "invalid_grant"}, 400)
        access_token = uuid4().hex
        self.tokens[access_token] = self.person
        given: dict[str, Any] = {"access_token": access_token, "token_type": "Bearer"}
        if self.kind == "oidc":
            given["id_token"] = self._id_token(asked["nonce"], access_token)
        return _json(given)

    def _id_token(self, nonce: str, access_token: str) -> str:
        now = int(self.clock.now().timestamp())
        half = hashlib.sha256(access_token.encode()).digest()[:16]
        claims = {
            **self.person,
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
            **self.faults.get("claims", {}),
        }
        key = self.faults.get("key", self.key)
        header = {"alg": "RS256", "kid": "k1", **self.faults.get("header", {})}
        return str(jwt.encode(header, claims, key, algorithms=[header["alg"]]))

    def _wechat_token(self, query: dict[str, str]) -> "Reply":
        if (query.get("appid"), query.get("secret")) != (CLIENT_ID, SECRET):
            return _json({"errcode": 40013, "errmsg": "invalid appid"})
        asked = self.codes.pop(query.get("code", ""), None)
        if asked is None or query.get("grant_type") != "authorization_code":
            return _json({"errcode": 40029, "errmsg": "invalid code"})
        token = {"access_token": uuid4().hex, "expires_in": 7200, "refresh_token": uuid4().hex}
        return _json({**token, "scope": asked["scope"], **self.person})


Reply = tuple[int, dict[str, str], bytes]


def _json(content: Mapping[str, Any], status: int = 200) -> Reply:
    return status, {"Content-Type": "application/json"}, json.dumps(content).encode()


def _flat(text: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(text).items()}


def _handler(simulator: Simulator) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            headers = dict(self.headers.items())
            status, fields, content = simulator.answer(self.command, self.path, headers, body)
            self.send_response(status)
            for name, value in {**fields, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _serve  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler
