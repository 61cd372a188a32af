"""Who may sign models: the holder of a private key, or an identity that Sigstore certified (keyless)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Self

PUBLIC_SIGSTORE = "https%3A%2F%2Ftuf-repo-cdn.sigstore.dev"
"""The folder of the package ``sigstore`` with the trust configuration of the public instance."""
TRUST_TYPE = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"


class SignerError(Exception):
    """A signer that can't be used to verify; the message says why."""


@dataclass(frozen=True, slots=True)
class TrustedSigner:
    """The signer whose models are served: by its key, or by its identity.

    Attributes:
        key: the file of the public key, in PEM; None for an identity.
        identity: the subject of the signing certificate: a URI or an email address.
        issuer: the OIDC issuer that vouched for the identity.
        trust: the file of a Sigstore client trust configuration, in JSON; None for that of the public
            instance, as the package ``sigstore`` has it. No network is needed in either case.
    """

    key: Path | None = None
    identity: str = ""
    issuer: str = ""
    trust: Path | None = None

    def __post_init__(self) -> None:
        """Check that it names one signer.

        Raises:
            ValueError: it names none, both, or an identity without its issuer.
        """
        if self.key and (self.identity or self.issuer or self.trust):
            raise ValueError("a signer is named by a key or by an identity, not by both")
        if not self.key and not (self.identity and self.issuer):
            raise ValueError("a signer is named by a key, or by an identity and its issuer")

    def verifier(self) -> Any:
        """Return the library's configuration that verifies signatures of this signer.

        Raises:
            ImportError: the library is not installed.
            SignerError: the key or the trust configuration can't be used.
        """
        from model_signing import verifying

        config = verifying.Config()
        if self.key:
            try:
                return config.use_elliptic_key_verifier(public_key=self.key)
            except (OSError, ValueError) as error:
                raise SignerError(f"the public key {self.key} can't be used: {error}") from error
        try:
            with _trust_config(self.trust) as trust:
                return config.use_sigstore_verifier(
                    identity=self.identity, oidc_issuer=self.issuer, trust_config=trust
                )
        except Exception as error:
            # The library has no common class for what is wrong with a trust configuration.
            where = (
                f"the trust configuration {self.trust}" if self.trust else "the packaged trust configuration"
            )
            raise SignerError(f"{where} can't be used: {error}") from error

    def to_json(self) -> str:
        """Return it as text."""
        return json.dumps({name: str(value) for name, value in asdict(self).items() if value})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what ``to_json`` wrote."""
        found: dict[str, Any] = json.loads(text)
        found |= {name: Path(found[name]) for name in ("key", "trust") if name in found}
        return cls(**found)


@contextmanager
def _trust_config(file: Path | None) -> Iterator[Path]:
    """Yield the file of a trust configuration, since the library reads no other without the network."""
    if file:
        yield file
        return
    public = resources.files("sigstore._store").joinpath(PUBLIC_SIGSTORE)
    content = {
        "mediaType": TRUST_TYPE,
        "trustedRoot": json.loads(public.joinpath("trusted_root.json").read_bytes()),
        "signingConfig": json.loads(public.joinpath("signing_config.v0.2.json").read_bytes()),
    }
    with NamedTemporaryFile("w", encoding="utf-8", suffix=".json") as copy:
        json.dump(content, copy)
        copy.flush()
        yield Path(copy.name)
