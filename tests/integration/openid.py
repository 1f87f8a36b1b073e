"""A small provider of identities, over real HTTP: the code flow with PKCE, keys that change, and ways to misbehave."""

import base64
import hashlib
import json
import secrets
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "penstock", "the client's secret, with ü and %"


class OpenId:
    """user: the claims of whoever signs in next. change: what is otherwise in the next identity token."""

    def __init__(self):
        self.user = {"sub": "u-1", "preferred_username": "ana", "roles": ["analyst"]}
        self.change = {}
        self.codes = {}
        self.fetched = 0
        self.silent = False
        self.keys = {}
        self.rotate()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}/realms/test"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def rotate(self, *, keep=False):
        """Sign with another key from now on; forget the old ones unless told to keep them."""
        self.kid = secrets.token_hex(4)
        self.keys = {**(self.keys if keep else {}), self.kid: rsa.generate_private_key(65537, 2048)}

    def token(self, *, key=None, algorithm="RS256", kid=None, **claims):
        """A signed token of this provider."""
        now = int(time.time())
        usual = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "sub": "u-1"}
        said = {name: value for name, value in (usual | claims).items() if value is not None}
        signing = None if algorithm == "none" else key or self.keys[self.kid]
        return jwt.encode(said, signing, algorithm, headers={"kid": kid or self.kid})

    # ---- over HTTP

    def described(self):
        return {
            "issuer": self.issuer,
            "authorization_endpoint": self.issuer + "/auth",
            "token_endpoint": self.issuer + "/token",
            "jwks_uri": self.issuer + "/certs",
        }

    def certs(self):
        self.fetched += 1
        found = []
        for kid, key in self.keys.items():
            found.append(json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())) | {"kid": kid, "use": "sig"})
        return {"keys": found}

    def authorize(self, asked):
        """Whoever comes is signed in at once; the address to go back to."""
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def exchange(self, form, authorization):
        """Status and answer of the token endpoint."""
        kind, _, pair = authorization.partition(" ")
        name, _, secret = base64.b64decode(pair).decode().partition(":")
        if (kind, unquote(name), unquote(secret)) != ("Basic", CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        asked = self.codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=")
        if asked is None or asked["redirect_uri"] != form["redirect_uri"] or asked["code_challenge"] != challenge.decode():
            return 400, {"error": "invalid_grant"}
        token = self.token(**({**self.user, "nonce": asked["nonce"]} | self.change))
        return 200, {"access_token": "opaque", "token_type": "Bearer", "id_token": token}

    def _handler(provider):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path, query = urlsplit(self.path).path, urlsplit(self.path).query
                if provider.silent:
                    self.reply(500, {})
                elif path.endswith("/.well-known/openid-configuration"):
                    self.reply(200, provider.described())
                elif path.endswith("/certs"):
                    self.reply(200, provider.certs())
                elif path.endswith("/auth"):
                    self.reply(302, {}, provider.authorize({name: values[0] for name, values in parse_qs(query).items()}))

            def do_POST(self):
                form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                given = {name: values[0] for name, values in form.items()}
                self.reply(*provider.exchange(given, self.headers.get("authorization", "")))

            def reply(self, status, body, location=None):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                if location is not None:
                    self.send_header("location", location)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                """Nothing."""

        return Handler


@contextmanager
def openid():
    """A provider that runs while the block does."""
    provider = OpenId()
    try:
        yield provider
    finally:
        provider.close()
