"""Who may do what: API keys, JSON Web Tokens and the admin token, and the scopes that they open.

A credential is sent in ``Authorization: Bearer ...``, an API key also in ``X-API-Key``. Keys are known by
their SHA-256 alone. Nothing of a credential is ever logged.
"""

import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal, NamedTuple

from predictor.errors import Forbidden, NotFound, Unauthorized

Scope = Literal["public", "predict", "explain", "feedback", "admin"]
SCOPES = frozenset({"predict", "explain", "feedback", "admin"})

_LONGEST_JWKS = 2**20

_NEVER = float("inf")

logger = logging.getLogger(__name__)


class Principal(NamedTuple):
    """Whoever a credential stands for."""

    name: str
    scopes: frozenset[str]
    expires: float = _NEVER


class CachedGrant(NamedTuple):
    """That a request was let in, and for how long the same headers need not be looked at again."""

    generation: int
    expires: float


class ApiKeys:
    """API keys from a file.

    Each line holds the SHA-256 of a key in hex, a name, and its scopes with commas between. The file is read
    again when it changes, so keys are rotated without a restart; one that can't be read leaves those known
    before.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.known: list[tuple[bytes, Principal]] = []
        self.generation = 0
        self._seen: tuple[int, int] | None = None
        self.refresh()

    def refresh(self) -> None:
        """Read the file if it changed."""
        try:
            status = self.file.stat()
            seen = (status.st_mtime_ns, status.st_ino)
            if seen != self._seen:
                lines = self.file.read_text().splitlines()
                self.known = [_key(line) for line in lines if line.strip() and not line.startswith("#")]
                self._seen = seen
                self.generation += 1
                logger.info("%d API keys are known", len(self.known))
        except (OSError, ValueError) as error:
            logger.error("the API keys are as before: %s: %s", self.file, error)

    def find(self, credential: bytes) -> Principal | None:
        """Whoever a key stands for; every key known is compared, each in constant time."""
        digest = hashlib.sha256(credential).digest()
        found = None
        for known, principal in self.known:
            if hmac.compare_digest(known, digest):
                found = principal
        return found


class JsonWebTokens:
    """JSON Web Tokens: verified once, and then known by their digest until they expire.

    Attributes:
        kept: verified tokens that are remembered at the most.
        missed: whether a token named a key that is not known, so that they should be read again soon.
    """

    def __init__(
        self, jwks: Callable[[], Mapping[str, Any]], issuer: str, audience: str, algorithms: tuple[str, ...]
    ) -> None:
        self.read = jwks
        self.issuer = issuer
        self.audience = audience
        self.algorithms = algorithms
        self.kept = 4096
        self.missed = False
        self.generation = 0
        self._verified: dict[bytes, Principal] = {}
        self._document: dict[str, Any] = {}
        self._keys: dict[str | None, Any] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read the keys again; where that fails, those known before stay."""
        import jwt  # only where tokens are used: it brings a whole library of cryptography

        self.missed = False
        try:
            document = dict(self.read())
            if document == self._document:
                return
            keys = jwt.PyJWKSet.from_dict(document).keys
        except (OSError, HTTPException, ValueError, jwt.PyJWTError) as error:
            logger.error("the keys for tokens are as before: %s", error)
            return
        self._document = document
        # In this order, and new rather than emptied: another thread may be looking at them.
        self._keys = {key.key_id: key for key in keys}
        self._verified = {}
        self.generation += 1

    def find(self, credential: bytes) -> Principal | None:
        """Whoever a token stands for; None for one that is not valid now."""
        digest = hashlib.sha256(credential).digest()
        verified = self._verified
        principal = verified.get(digest) or self._verify(credential)
        if principal is None or principal.expires <= time.time():
            verified.pop(digest, None)
            return None
        if digest not in verified:
            if len(verified) >= self.kept:
                del verified[next(iter(verified))]
            verified[digest] = principal
        return principal

    def _verify(self, credential: bytes) -> Principal | None:
        import jwt

        try:
            key = self._keys.get(jwt.get_unverified_header(credential).get("kid"))
            if key is None:
                self.missed = True
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
            granted = frozenset(scopes.split() if isinstance(scopes, str) else scopes) & SCOPES
            return Principal(str(claims.get("sub", "")), granted, float(claims["exp"]))
        except (TypeError, ValueError, OverflowError, RecursionError, jwt.PyJWTError):
            return None


class Authorizer:
    """Lets in whom it should.

    Args:
        mode: ``off`` asks nobody; ``optional`` refuses a wrong credential, but needs none; ``required``
        needs one. admin_token: opens everything, in every mode. sources: what finds the principal of a
        credential.
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
        """Whether anybody can be an administrator; where not, administrative paths do not exist."""

    def guards(self, scope: str) -> bool:
        """Whether requests of a scope need to be looked at."""
        return scope == "admin" or (self.mode != "off" and scope != "public")

    @property
    def generation(self) -> int:
        """Changes with everything that is known of credentials."""
        generation = 0
        for source in self.sources:  # this is asked for each request, and costs a third of a sum
            generation += source.generation
        return generation

    def honors(self, known: CachedGrant | None) -> bool:
        """Whether what was let in may come in again without a look."""
        if known is None or known.generation != self.generation:
            return False
        return known.expires == _NEVER or known.expires > time.time()

    def authorize(self, scope: str, headers: Mapping[bytes, bytes]) -> Principal | None:
        """Let a request in, or not.

        Raises:
            NotFound: an administrative path where nobody can be an administrator.
            Unauthorized: no credential, or one that is not known.
            Forbidden: a credential without the scope.
        """
        if not self.guards(scope):
            return None
        if scope == "admin" and not self.has_admin:
            raise NotFound("administration is off: no admin token is set")
        credential = credential_of(headers)
        if credential is None:
            if scope == "admin" or self.mode == "required":
                raise Unauthorized("a credential is needed: Authorization: Bearer ..., or X-API-Key")
            return None
        principal = self._find(credential)
        if principal is None:
            raise Unauthorized("the credential is not known, or has expired")
        if scope not in principal.scopes:
            raise Forbidden(f"the credential does not open the scope {scope}")
        return principal

    def _find(self, credential: bytes) -> Principal | None:
        if self._admin and hmac.compare_digest(hashlib.sha256(credential).digest(), self._admin):
            return Principal("admin", SCOPES)
        return next((found for source in self.sources if (found := source.find(credential))), None)


def credential_of(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The credential in a request's headers."""
    scheme, _, credential = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and credential.strip():
        return credential.strip()
    return headers.get(b"x-api-key") or None


def jwks_reader(place: str) -> Callable[[], Mapping[str, Any]]:
    """A function that reads a JWKS document from a file or a URL."""

    def read() -> Mapping[str, Any]:
        if place.startswith(("https://", "http://")):
            from urllib.request import urlopen

            with urlopen(place, timeout=5) as response:  # noqa: S310  an operator's own setting
                text = response.read(_LONGEST_JWKS + 1)
            if len(text) > _LONGEST_JWKS:
                raise ValueError(f"{place} holds more than {_LONGEST_JWKS} bytes")
            document = json.loads(text)
        else:
            document = json.loads(Path(place).read_bytes())
        if not isinstance(document, dict):
            raise ValueError(f"{place} holds no JWKS")
        return document

    return read


def _key(line: str) -> tuple[bytes, Principal]:
    try:
        digest, name, scopes = line.split()
        found = bytes.fromhex(digest), Principal(name, frozenset(scopes.split(",")))
    except ValueError:
        raise ValueError("a line must be: SHA-256 in hex, name, scopes with commas between") from None
    if len(found[0]) != hashlib.sha256().digest_size or not found[1].scopes <= SCOPES:
        raise ValueError(
            f"the key {name}: the digest is no SHA-256, or a scope is not among {sorted(SCOPES)}"
        )
    return found
