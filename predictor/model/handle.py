"""Handle to the served model: the loaded model, or why loading failed."""

import logging
import re
import time
from dataclasses import dataclass
from pathlib import Path

from predictor.errors import TooLarge, Unavailable
from predictor.model import artifact
from predictor.model.artifact import LinearModel
from predictor.model.scorer import Scorer

_NARROW = 8

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that was read and verified; ``seconds`` is how long that took."""

    model: LinearModel
    digest: str
    scorer: Scorer
    seconds: float


class ModelHandle:
    """One model by its name.

    Args:
        name: the model's name in the paths of the protocols.
        folder: the model folder.
        version: the version's label; by default the folder's name where that is a number.
        max_rows: rows of one request, of up to 8 numbers each, and as many fewer of wider ones.

    Attributes:
        loaded: the model; None while there is none.
        reason: why there is none; empty otherwise.
        error: why the last attempt to load failed; empty after a success.
        draining: whether the server is ending, and new requests should go elsewhere.
    """

    def __init__(
        self, name: str, folder: Path, version: str | None = None, *, max_rows: int = 1_000_000
    ) -> None:
        self.name = name
        self.folder = folder
        self.version = version or (folder.name if re.fullmatch(r"[0-9]+", folder.name) else None)
        self.max_rows = max_rows
        self.loaded: LoadedModel | None = None
        self.reason = "it is not loaded"
        self.error = ""
        self.draining = False

    @property
    def ready(self) -> bool:
        """Whether new requests should be sent here."""
        return self.loaded is not None and not self.draining

    def load(self) -> bool:
        """Read the model folder; returns whether that worked. Whatever is in the folder, this never raises.

        A model that is loaded already keeps serving when a reload fails.
        """
        started = time.perf_counter()
        try:
            model, digest = artifact.read(self.folder)
        except (artifact.ArtifactError, OSError) as error:
            self.error = str(error)
            if self.loaded is None:
                self.reason = self.error
            logger.error("model %s could not be loaded: %s", self.name, error)
            return False
        self.loaded = LoadedModel(model, digest, Scorer(model), time.perf_counter() - started)
        self.reason = self.error = ""
        logger.info("model %s is loaded: version %s, digest %s", self.name, self.version, digest)
        return True

    def unload(self) -> None:
        """Forget the model."""
        self.loaded, self.reason = None, "it was unloaded"

    def check_rows(self, rows: int, share: int = 1) -> None:
        """Check the number of rows of one request against the limit, or a ``share`` of it.

        Raises:
            TooLarge: there are more.
        """
        width = self.require().scorer.width
        limit = self.max_rows * min(_NARROW, width) // width // share
        if rows > limit:
            raise TooLarge(f"more than {limit} rows")

    def require(self) -> LoadedModel:
        """Return the model. A server that is ending still answers the requests that reach it.

        Raises:
            Unavailable: no model is loaded.
        """
        if self.loaded is None:
            raise Unavailable(f"model {self.name} is not ready: {self.reason}", retry_after=5)
        return self.loaded

    def require_ready(self) -> None:
        """Check that new requests should be sent here.

        Raises:
            Unavailable: no model is loaded, or the server is ending.
        """
        self.require()
        if self.draining:
            raise Unavailable(f"model {self.name} is not ready: the server is ending")
