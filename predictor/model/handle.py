"""The model that is being served, and whether it may be asked."""

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
    """A model that was read and verified."""

    model: LinearModel
    digest: str
    scorer: Scorer
    seconds: float


class ModelHandle:
    """One model by its name, loaded or with the reason why it is not.

    Attributes:
        name: as it stands in the paths of the protocols.
        version: a label for people and metrics; None where nobody named one.
        loaded: the model, or None.
        reason: why it may not be asked now; empty when it may.
        max_rows: rows of one request, of up to 8 numbers each, and as many fewer of wider ones.
    """

    def __init__(
        self, name: str, folder: Path, version: str | None = None, scorer: type[Scorer] = Scorer
    ) -> None:
        self.name = name
        self._scorer = scorer
        self.folder = folder
        self.version = version or (folder.name if re.fullmatch(r"[0-9]+", folder.name) else None)
        self.loaded: LoadedModel | None = None
        self.reason = "it is not loaded"
        self.draining = False
        self.max_rows = 1_000_000

    @property
    def ready(self) -> bool:
        """Whether new requests should be sent here."""
        return self.loaded is not None and not self.draining

    def load(self) -> bool:
        """Read the model folder. A folder that can't be believed leaves the model not ready, with the reason.

        It never raises for what is in the folder: the process stays alive, to tell.
        """
        started = time.perf_counter()
        try:
            model, digest = artifact.read(self.folder)
        except (artifact.ArtifactError, OSError) as error:
            self.loaded, self.reason = None, str(error)
            logger.error("model %s is not ready: %s", self.name, error)
            return False
        self.loaded = LoadedModel(model, digest, self._scorer(model), time.perf_counter() - started)
        self.reason = ""
        logger.info("model %s is loaded: version %s, digest %s", self.name, self.version, digest)
        return True

    def bound(self, rows: int, share: int = 1) -> None:
        """Refuse more rows of one request than may be, or than a ``share`` of that.

        Raises:
            TooLarge: there are more.
        """
        most = self.max_rows * min(_NARROW, self.require().scorer.width) // self.require().scorer.width
        if rows > most // share:
            raise TooLarge(f"more than {most // share} rows")

    def unload(self) -> None:
        """Forget the model, on an administrator's word."""
        self.loaded, self.reason = None, "it was unloaded"

    def require(self) -> LoadedModel:
        """The model, to answer with. A server that is ending still answers what reaches it.

        Raises:
            Unavailable: it is not loaded.
        """
        if self.loaded is None:
            raise Unavailable(f"model {self.name} is not ready: {self.reason}", retry_after=5)
        return self.loaded

    def require_ready(self) -> None:
        """Tell whether new requests should be sent here.

        Raises:
            Unavailable: the model is not loaded, or the server is ending.
        """
        self.require()
        if self.draining:
            raise Unavailable(f"model {self.name} is not ready: the server is ending")
