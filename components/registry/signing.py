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
IMAGE = "STEP_IMAGE"
"""The variable that names the image of a step's pod."""


class SigningError(Exception):
    """A key that can't be used."""


class Signer:
    """Signs folders with a private key.

    Args:
        key: its file, in PEM: of one of the curves P-256, P-384 and P-521, and not encrypted.

    Raises:
        SigningError: it can't be read, or the package that signs is not installed.
    """

    def __init__(self, key: Path) -> None:
        try:
            from model_signing import signing

            files = hashing_config()
        except ImportError as error:
            raise SigningError(
                f"models can't be signed: {error}; the extra `signing` of linear-regressor is not installed"
            ) from error
        try:
            self._config = signing.Config().use_elliptic_key_signer(private_key=key).set_hashing_config(files)
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise SigningError(f"the key {key} can't sign models: {error}") from error

    def sign(self, folder: Path) -> None:
        """Write the signature of all files of a folder into it."""
        self._config.sign(folder, folder / SIGNATURE_FILE)


def find_signer(secret: Path = SECRET_FOLDER) -> Signer | None:
    """Return what signs, if a key is named or the pod's Secret has one.

    Raises:
        SigningError: the key can't be used.
    """
    named = os.environ.get(KEY)
    key = Path(named) if named else secret / KEY
    return Signer(key) if named or key.is_file() else None


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
