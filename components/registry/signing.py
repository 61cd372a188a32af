"""Makes the folder of a version: the model, how good it is, where it comes from, and a signature over all."""

import datetime as dt
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from components.registry.decision import Decision
from components.runtime.step import SECRET_FOLDER
from predictor.model import evaluation as evaluations
from predictor.model.artifact import (
    EVALUATION_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    PROVENANCE_FILE,
    REFERENCE_FILE,
    SIGNATURE_FILE,
)
from predictor.model.evaluation import Evaluation
from predictor.model.provenance import Provenance
from predictor.model.signature import hashing_config

KEY = "MODEL_SIGNING_KEY"
"""The variable that names the private key's file; the Secret of a step's pod may have it by this name."""
TOKEN = "MODEL_SIGNING_TOKEN"  # noqa: S105
"""The variable that names the file of an OIDC identity token, for signing without a key."""
TRUST = "MODEL_SIGNING_TRUST"
"""The variable that names the file of a private Sigstore's client trust configuration."""
IMAGE = "STEP_IMAGE"
"""The variable that names the image of a step's pod."""


class SigningError(Exception):
    """Models can't be signed; the message says why."""


class Signer:
    """Signs folders, with a private key or with an identity.

    An identity needs a Sigstore: its certificate authority makes a certificate of the token that is valid for
    minutes, and its log records the signature.

    Args:
        key: the private key's file, in PEM: of one of the curves P-256, P-384 and P-521, and not encrypted.
        token: the file of an identity token for the audience ``sigstore``, instead of a key.
        trust: the file of a Sigstore client trust configuration; None for the public instance.

    Raises:
        SigningError: the key or token can't be used, or the package that signs is not installed.
    """

    def __init__(
        self, key: Path | None = None, *, token: Path | None = None, trust: Path | None = None
    ) -> None:
        if (key is None) == (token is None):
            raise SigningError(f"models are signed with a key or with a token: set {KEY} or {TOKEN}")
        try:
            from model_signing import signing

            self._config = signing.Config().set_hashing_config(hashing_config())
        except ImportError as error:
            raise SigningError(
                f"models can't be signed: {error}; the extra `signing` of linear-regressor is not installed"
            ) from error
        try:
            if key:
                self._config.use_elliptic_key_signer(private_key=key)
            elif token:
                text = token.read_text(encoding="utf-8").strip()
                if not text:  # the library would ask a person to log in
                    raise ValueError("it is empty")
                self._config.use_sigstore_signer(identity_token=text, trust_config=trust)
        except Exception as error:
            # Sigstore's clients have no common class for what can go wrong with a network.
            what = f"the key {key}" if key else f"the token {token}"
            raise SigningError(f"{what} can't sign models: {_reason(error)}") from error

    def sign(self, folder: Path) -> None:
        """Write the signature of all files of a folder into it.

        Raises:
            SigningError: Sigstore can't be reached or refused the token.
        """
        try:
            self._config.sign(folder, folder / SIGNATURE_FILE)
        except Exception as error:
            raise SigningError(f"the model was not signed: {_reason(error)}") from error


def find_signer(secret: Path = SECRET_FOLDER) -> Signer | None:
    """Return what signs, if a key or token is named, or the pod's Secret has a key.

    Raises:
        SigningError: the key or token can't be used.
    """
    key, token, trust = (
        Path(named) if (named := os.environ.get(name)) else None for name in (KEY, TOKEN, TRUST)
    )
    if key is None and token is None and (secret / KEY).is_file():
        key = secret / KEY
    return Signer(key, token=token, trust=trust) if key or token else None


def _reason(error: BaseException) -> str:
    """Return the first message of an error and of those that it was raised from."""
    while not str(error) and error.__cause__ is not None:
        error = error.__cause__
    return str(error) or type(error).__name__


@contextmanager
def registered_folder(
    source: Path, evaluation: Evaluation | None, provenance: Provenance, signer: Signer | None
) -> Iterator[Path]:
    """Yield the folder of a version, to be published; it is temporary."""
    with TemporaryDirectory() as folder:
        for name in (MODEL_FILE, REFERENCE_FILE, MANIFEST_FILE):
            shutil.copyfile(source / name, Path(folder) / name)
        if evaluation is not None:
            (Path(folder) / EVALUATION_FILE).write_bytes(evaluations.encode(evaluation))
        (Path(folder) / PROVENANCE_FILE).write_bytes(provenance.encode())
        if signer:
            signer.sign(Path(folder))
        yield Path(folder)


def provenance_of(
    name: str, version: int, digest: str, lineage: Mapping[str, str], decision: Decision
) -> Provenance:
    """Return where a version comes from, as its lineage says."""
    return Provenance(
        name=name,
        version=str(version),
        digest=digest,
        run=lineage.get("run_id", ""),
        data=lineage.get("dataset_fingerprint", ""),
        code=lineage.get("git_commit", ""),
        image=os.environ.get(IMAGE, ""),
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        promoted=decision.promote,
        reasons=decision.reasons,
    )
