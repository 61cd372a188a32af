"""Authentication and scopes: API keys, JSON Web Tokens and the admin token.

A credential comes in ``Authorization: Bearer ...``, an API key also in ``X-API-Key``. Of an API key only the
SHA-256 is stored. Credentials are never logged.
"""

import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from predictor.errors import Forbidden, NotFound, Unauthorized
from predictor.messages import Principal
from predictor.wording import plural

Scope = Literal["public", "predict", "explain", "feedback", "admin"]
LABEL_ALL = "feedback:all"
"""The scope to label the predictions of all principals; ``feedback`` is for one's own."""
SCOPES = frozenset({"predict", "explain", "feedback", LABEL_ALL, "admin"})

ANYBODY = Principal("", SCOPES - {"admin"})
"""The principal of every request while auth is off."""
ANONYMOUS = Principal("", SCOPES - {"admin", LABEL_ALL})
"""The principal of a request without a credential, where that is optional."""

_CACHED_GRANTS = 1024
_MAX_JWKS_BYTES = 2**20
_NEVER = float("inf")
_SUBJECT = "jwt:"
"""Begins the names of tokens' subjects, so that none has the name of an API key or of the administrator."""

logger = logging.getLogger(__name__)


class CachedGrant(NamedTuple):
    """A successful authorization, reusable for the same credential until it expires or the keys change."""

    generation: int
    principal: Principal


NO_GRANT = CachedGrant(-1, ANYBODY)
"""No authorization yet."""


class ApiKeys:
    """API keys from a file, which is read again when it changes, so that keys rotate without a restart.

    Each line holds the SHA-256 of a key in hex, a name, and comma-separated scopes. If the file can't be
    read, the previous keys remain valid.

    Attributes:
        keys: the principals by the digests of their keys.
        generation: changes whenever the keys change.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.keys: dict[bytes, Principal] = {}
        self.generation = 0
        self._loaded_stamp: tuple[int, int] | None = None
        self.refresh()

    def refresh(self) -> None:
        """Read the file if it changed. This never raises."""
        try:
            status = self.file.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp == self._loaded_stamp:
                return
            lines = self.file.read_text().splitlines()
            self.keys = dict(_parse_key(line) for line in lines if line.strip() and not line.startswith("#"))
        except (OSError, ValueError) as error:
            logger.error("keeping the previous API keys: %s: %s", self.file, error)
            return
        self._loaded_stamp = stamp
        self.generation += 1
        logger.info("loaded %s", plural(len(self.keys), "API key"))

    def find(self, credential: bytes) -> Principal | None:
        """Return the principal of a key, or None. As its digest is looked up, timing reveals no key."""
        return self.keys.get(hashlib.sha256(credential).digest())


class JsonWebTokens:
    """JSON Web Tokens, verified with the public keys of their issuer.

    Args:
        read_jwks: returns the JWKS document with the public keys.
        issuer, audience: what a token must name.
        algorithms: the accepted signature algorithms.

    Attributes:
        refresh_requested: True after a token named an unknown key: the keys should be read again soon.
        generation: changes whenever the keys change.
    """

    def __init__(
        self,
        read_jwks: Callable[[], Mapping[str, Any]],
        issuer: str,
        audience: str,
        algorithms: tuple[str, ...],
    ) -> None:
        self.read_jwks = read_jwks
        self.issuer = issuer
        self.audience = audience
        self.algorithms = algorithms
        self.refresh_requested = False
        self.generation = 0
        self._document: dict[str, Any] = {}
        self._keys: dict[str | None, Any] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read the keys again; if that fails, the previous keys remain valid. This never raises."""
        import jwt  # imported only if tokens are used: it loads the whole cryptography package

        self.refresh_requested = False
        try:
            document = dict(self.read_jwks())
            if document == self._document:
                return
            keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(document).keys}
        except Exception as error:  # noqa: BLE001  a document can be wrong in many ways, deep nesting among them
            logger.error("keeping the previous JWKS: %s: %s", type(error).__name__, error)
            return
        self._document = document
        self._keys = keys
        self.generation += 1

    def find(self, credential: bytes) -> Principal | None:
        """Return the principal of a token; None if the token is not valid now."""
        import jwt

        try:
            key = self._keys.get(jwt.get_unverified_header(credential).get("kid"))
            if key is None:
                self.refresh_requested = True
                return None
            claims = jwt.decode(
                credential,
                key,
                algorithms=list(self.algorithms),
                issuer=self.issuer,
                audience=self.audience,
                options={"require": ["exp", "iss", "aud"]},
            )
            scopes = claims.get("scope", "")
            granted = frozenset(scopes.split() if isinstance(scopes, str) else scopes)
            name = f"{_SUBJECT}{claims.get('sub', '')}"
            name.encode()  # raises an error for an unpaired surrogate
            return Principal(name, _implied(granted & SCOPES), float(claims["exp"]))
        except (TypeError, ValueError, AttributeError, OverflowError, RecursionError, jwt.PyJWTError):
            return None


class Authorizer:
    """Authenticates a request and checks its scope.

    Args:
        mode: ``off`` checks only administrative requests; ``optional`` also refuses wrong credentials, but
            accepts requests without one; ``required`` needs one.
        admin_token: grants every scope, in every mode.
        sources: find the principal of a credential.

    Attributes:
        has_admin: whether there can be an administrator; if not, administrative paths do not exist.
    """

    def __init__(
        self,
        mode: Literal["off", "optional", "required"] = "off",
        admin_token: str | None = None,
        sources: tuple[ApiKeys | JsonWebTokens, ...] = (),
    ) -> None:
        self.mode = mode
        self.sources = sources if mode != "off" else ()
        self._admin = hashlib.sha256(admin_token.encode()).digest() if admin_token else None
        self.has_admin = self._admin is not None or bool(self.sources)
        self._unguarded = CachedGrant(0, ANYBODY if mode == "off" else ANONYMOUS)
        self._grants: dict[bytes, CachedGrant] = {}

    def guards(self, scope: str) -> bool:
        """Return whether requests of a scope are checked."""
        return scope == "admin" or (self.mode != "off" and scope != "public")

    @property
    def generation(self) -> int:
        """A number that changes whenever any keys change."""
        generation = 0
        for source in self.sources:  # runs for each request, and costs a third of a call of sum()
            generation += source.generation
        return generation

    def honors(self, grant: CachedGrant) -> bool:
        """Return whether a grant is still valid."""
        if grant.generation != self.generation:
            return False
        expires = grant.principal.expires
        return expires == _NEVER or expires > time.time()

    def authorize(self, scope: str, fields: Mapping[bytes, bytes]) -> CachedGrant:
        """Check that a request's credential grants a scope.

        Args:
            scope: what the request needs.
            fields: its header fields, with lower-case names.

        Returns:
            The grant, with the principal; one without a name for a request that needs no credential and has
            none.

        Raises:
            NotFound: an administrative path, while there can be no administrator.
            Unauthorized: no credential, or an unknown one.
            Forbidden: a credential without the scope.
        """
        if not self.guards(scope):
            return self._unguarded
        if scope == "admin" and not self.has_admin:
            raise NotFound("administration is not enabled; set PREDICTOR_ADMIN_TOKEN")
        credential = credential_of(fields)
        if credential is None:
            if scope == "admin" or self.mode == "required":
                raise Unauthorized("missing credential; send Authorization: Bearer ... or X-API-Key")
            return CachedGrant(self.generation, ANONYMOUS)
        grant = self._grants.get(credential)
        if grant is None or not self.honors(grant):
            grant = self._verify(credential)
        if scope not in grant.principal.scopes:
            raise Forbidden(f'this credential lacks the scope "{scope}"')
        return grant

    def _verify(self, credential: bytes) -> CachedGrant:
        """Verify a credential, and cache the grant: verifying a token takes longer than a prediction."""
        self._grants.pop(credential, None)
        generation = self.generation  # before the keys are used, which may change meanwhile
        principal = self._find(credential)
        if principal is None:
            raise Unauthorized("unknown or expired credential")
        if len(self._grants) >= _CACHED_GRANTS:
            del self._grants[next(iter(self._grants))]
        self._grants[credential] = grant = CachedGrant(generation, principal)
        return grant

    def _find(self, credential: bytes) -> Principal | None:
        if self._admin and hmac.compare_digest(hashlib.sha256(credential).digest(), self._admin):
            return Principal("admin", SCOPES)
        return next((found for source in self.sources if (found := source.find(credential))), None)


def _implied(scopes: frozenset[str]) -> frozenset[str]:
    """Add what scopes imply: who may label all predictions may label their own."""
    return scopes | {"feedback"} if LABEL_ALL in scopes else scopes


def credential_of(fields: Mapping[bytes, bytes]) -> bytes | None:
    """Return the credential in a request's header fields, or None."""
    scheme, _, credential = fields.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and credential.strip():
        return credential.strip()
    return fields.get(b"x-api-key") or None


def jwks_reader(location: str) -> Callable[[], Mapping[str, Any]]:
    """Return a function that reads the JWKS document at a path or a URL."""

    def read() -> Mapping[str, Any]:
        with _open(location) as file:
            text = file.read(_MAX_JWKS_BYTES + 1)
        if len(text) > _MAX_JWKS_BYTES:
            raise ValueError(f"{location} is larger than 1 MiB")
        document = json.loads(text)
        if not isinstance(document, dict):
            raise ValueError(f"{location} is not a JWKS document")
        return document

    return read


def _open(location: str) -> Any:
    if location.startswith(("https://", "http://")):
        from urllib.request import HTTPRedirectHandler, build_opener

        # Keys come from the address that the operator set: a redirect may lead to anybody's.
        unredirected = type("_Unredirected", (HTTPRedirectHandler,), {"redirect_request": lambda *_: None})
        return build_opener(unredirected).open(location, timeout=5)
    return Path(location).open("rb")


def _parse_key(line: str) -> tuple[bytes, Principal]:
    try:
        text, name, scopes = line.split()
        digest, principal = bytes.fromhex(text), Principal(name, frozenset(scopes.split(",")))
    except ValueError:
        raise ValueError("expected lines of: SHA-256 in hex, name, comma-separated scopes") from None
    if len(digest) != hashlib.sha256().digest_size:
        raise ValueError(f"key {name}: the digest is not a SHA-256")
    if unknown := sorted(principal.scopes - SCOPES):
        raise ValueError(f"key {name}: unknown scope {unknown[0]}; use {', '.join(sorted(SCOPES))}")
    return digest, principal._replace(scopes=_implied(principal.scopes))
