"""Whether a model folder is signed: checked in a process of its own, which takes half a second and 60 MB.

A folder is signed when it is registered. Its signature is a Sigstore bundle by the library ``model-signing``,
over all other files of the folder; ``provenance.json`` is one of them, and says which version of which model
it is.
"""

import json
import logging
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from predictor.model.artifact import MANIFEST_FILE, PROVENANCE_FILE, SIGNATURE_FILE
from predictor.model.provenance import Provenance
from predictor.model.signer import SignerError, TrustedSigner

Mode = Literal["off", "warn", "require"]
SECONDS = 60.0
"""How long a check may take."""

logger = logging.getLogger(__name__)


class SignatureError(Exception):
    """A model folder whose signature is missing or wrong; the message says why."""


@dataclass(frozen=True, slots=True)
class SignaturePolicy:
    """Whether and by whom a model has to be signed.

    Attributes:
        mode: off; warn, which logs what is wrong and serves the model; or require, which refuses it.
        signer: who may sign models.
        name: the registered model that may be served.
    """

    mode: Mode = "off"
    signer: TrustedSigner | None = None
    name: str = ""

    def check(self, folder: Path, version: str | None) -> str | None:
        """Check a folder before it is served; returns the digest of the signed model, or None if none is.

        Args:
            folder: of the model.
            version: that is to be served.

        Raises:
            SignatureError: the policy requires a signature, and there is no good one.
        """
        if self.mode == "off":
            return None
        try:
            return _check_elsewhere(folder, self.signer, self.name, version)
        except SignatureError as error:
            if self.mode == "require":
                raise
            logger.warning("the signature of %s is not good: %s", folder, error)
            return None


def verify(folder: Path, signer: TrustedSigner, name: str, version: str) -> str:
    """Verify a signature in this process; returns the digest of the model that was signed.

    Raises:
        SignatureError: it is missing, by another signer, over other files, or of another model or version.
    """
    # KServe's storage initializer links to the files of a volume.
    home = Path(os.path.realpath(folder / MANIFEST_FILE)).parent
    if not (home / SIGNATURE_FILE).is_file():
        raise SignatureError("it is not signed")
    try:
        from cryptography.exceptions import InvalidSignature

        verifier = signer.verifier().set_hashing_config(hashing_config())
    except ImportError as error:
        raise SignatureError(
            f"it can't be verified: {error}; the extra `signing` of linear-regressor is not installed"
        ) from error
    except SignerError as error:
        raise SignatureError(str(error)) from error
    try:
        verifier.verify(home, home / SIGNATURE_FILE)
    except InvalidSignature as error:
        raise SignatureError("it was made by another key, or the signature was changed") from error
    except Exception as error:
        # Whatever the library raises, the folder is not verified.
        raise SignatureError(_readable(error)) from error
    return _bound(home, name, version)


def hashing_config() -> Any:
    """Return how the files of a folder are hashed: all but the signature, for signing and verifying alike.

    Raises:
        ImportError: the library is not installed.
    """
    from model_signing import hashing

    return hashing.Config().set_ignored_paths(paths=[SIGNATURE_FILE], ignore_git_paths=False)


def _readable(error: Exception) -> str:
    """Return what is wrong; of files that differ, their names without the digests."""
    text = str(error) or type(error).__name__
    if not text.startswith("Signature mismatch"):
        return text
    changed = ", ".join(re.findall(r"Hash mismatch for \W*([\w.]+)", text))
    others = re.findall(r"(Extra|Missing) files (?:found )?in model .*?: ([\w., ]+)", text)
    problems = [f"changed files: {changed}"] if changed else []
    problems += [f"{kind.lower()} files: {names}" for kind, names in others]
    return f"the folder is not what was signed; {'; '.join(problems)}"


def _bound(home: Path, name: str, version: str) -> str:
    """Return the digest in the signed provenance, if that is about the expected version."""
    try:
        found = Provenance.decode((home / PROVENANCE_FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise SignatureError(f"the signed folder does not say which version it is: {error}") from error
    if (found.name, found.version) != (name, version):
        signed, served = f"version {found.version} of {found.name}", f"version {version} of {name}"
        raise SignatureError(f"it is signed as {signed}, and served as {served}")
    return found.digest


def _check_elsewhere(folder: Path, signer: TrustedSigner | None, name: str, version: str | None) -> str:
    """Verify in a process that ends afterwards; returns the digest of the model that was signed."""
    if signer is None:
        raise SignatureError("no key and no identity is set to verify it with")
    if version is None:
        raise SignatureError("it is served without a version, and a signature is for one version")
    command = [sys.executable, "-m", __name__, str(folder), signer.to_json(), name, version]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS)  # noqa: S603
        answer = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired as error:
        raise SignatureError(f"verifying it took longer than {SECONDS:.0f} s") from error
    except (IndexError, ValueError) as error:
        raise SignatureError(
            f"verifying it ended with status {done.returncode}: {done.stderr.strip()[-300:]}"
        ) from error
    if "digest" not in answer:
        raise SignatureError(answer["error"])
    digest: str = answer["digest"]
    return digest


def main() -> None:
    """Verify the folder, signer, name and version of the command line, and print the outcome as JSON."""
    folder, signer, name, version = sys.argv[1:]
    try:
        outcome = {"digest": verify(Path(folder), TrustedSigner.from_json(signer), name, version)}
    except SignatureError as error:
        outcome = {"error": str(error)}
    print(json.dumps(outcome))


if __name__ == "__main__":
    main()
