"""Handle to the served model: the loaded model, or why there is none."""

import logging
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

from predictor.errors import TooLarge, Unavailable
from predictor.model import artifact
from predictor.model.base import Model
from predictor.model.evaluation import Evaluation
from predictor.model.provenance import Provenance
from predictor.model.signature import SignatureError, SignaturePolicy

_NARROW = 8

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that was read and verified.

    Attributes:
        model: the model.
        digest: of its folder.
        seconds: how long reading took.
        loaded_at: when it was read, in seconds since 1970.
        evaluation: how good it is on held-out rows, if its folder says so.
        provenance: where it comes from, if its folder says so.
        signed: whether its signature was verified.
    """

    model: Model
    digest: str
    seconds: float
    evaluation: Evaluation | None = None
    provenance: Provenance | None = None
    signed: bool = False
    loaded_at: float = field(default_factory=time.time)


class ModelHandle:
    """The model of one name, which can be loaded and unloaded while the server runs.

    Args:
        name: the model's name in the paths of the protocols.
        folder: the model folder.
        version: the version's label; defaults to the folder's name if that is a number.
        max_rows: rows in one request, for up to 8 features; fewer for more features.
        signatures: the policy for the folder's signature.

    Attributes:
        loaded: the model; None if none is loaded.
        reason: why none is loaded; empty otherwise.
        error: why the last attempt to load failed; empty after a success.
        draining: True while the server is shutting down and new requests should go elsewhere.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        version: str | None = None,
        *,
        max_rows: int = 1_000_000,
        signatures: SignaturePolicy | None = None,
    ) -> None:
        self.name = name
        self.folder = folder
        self.version = version or (folder.name if re.fullmatch(r"[0-9]+", folder.name) else None)
        self.max_rows = max_rows
        self.signatures = signatures or SignaturePolicy()
        self.loaded: LoadedModel | None = None
        self.reason = "it is not loaded yet"
        self.error = ""
        self.draining = False

    @property
    def ready(self) -> bool:
        """Whether new requests should be sent to this server."""
        return self.loaded is not None and not self.draining

    def load(self) -> bool:
        """Read the model folder; returns whether that succeeded. An invalid folder raises no error.

        If a reload fails, the previous model continues to serve.
        """
        started = time.perf_counter()
        try:
            signed = self.signatures.check(self.folder, self.version)
            model, digest = artifact.read(self.folder)
            if signed not in (None, digest):
                raise SignatureError(f"the model {signed} is signed, and {digest} was read")
            evaluation = artifact.read_evaluation(self.folder, digest)
            provenance = artifact.read_provenance(self.folder, digest)
        except (artifact.ArtifactError, SignatureError, OSError) as error:
            self.error = str(error)
            if self.loaded is None:
                self.reason = self.error
            logger.error("could not load model %s: %s", self.name, error)
            return False
        seconds = time.perf_counter() - started
        self.loaded = LoadedModel(model, digest, seconds, evaluation, provenance, signed is not None)
        self.reason = self.error = ""
        logger.info("loaded model %s: version %s, digest %s", self.name, self.version, digest)
        return True

    def unload(self) -> None:
        """Release the model."""
        self.loaded, self.reason = None, "it was unloaded"

    def check_rows(self, rows: int, share: int = 1) -> None:
        """Check the number of rows in one request against the limit, divided by ``share``.

        Raises:
            TooLarge: there are more.
        """
        width = self.require().model.width
        limit = self.max_rows * min(_NARROW, width) // width // share
        if rows > limit:
            raise TooLarge(f"more than {limit} rows")

    def require(self) -> LoadedModel:
        """Return the loaded model. A server that is shutting down still answers the requests it gets.

        Raises:
            Unavailable: no model is loaded.
        """
        if self.loaded is None:
            raise Unavailable(f"model {self.name} is not ready: {self.reason}", retry_after=5)
        return self.loaded

    def require_ready(self) -> None:
        """Check that new requests should be sent to this server.

        Raises:
            Unavailable: no model is loaded, or the server is shutting down.
        """
        self.require()
        if self.draining:
            raise Unavailable(f"model {self.name} is not ready: the server is shutting down")
