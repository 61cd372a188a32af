"""A model version in the form in which an InferenceService names it."""

from dataclasses import dataclass, field

VERSION = "linear-regressor/model-version"
# With it KServe makes no pods: the chart sets it where no version is chosen yet.
STOP = "serving.kserve.io/stop"
DIGEST = "linear-regressor/model-digest"


@dataclass(frozen=True, slots=True)
class Release:
    """The version, digest and URI that an InferenceService names.

    Attributes:
        version: the number in the registry, as pods report it.
        digest: of the model folder; if empty, it is not compared.
        uri: of the model folder, which is immutable: each version has its own.
    """

    version: str
    digest: str = field(compare=False)
    uri: str

    def __str__(self) -> str:
        return f"version {self.version}"

    def patch(self) -> dict[str, object]:
        """Return the patch that sets version, digest and URI, and lets KServe create pods."""
        return {
            "metadata": {"annotations": {VERSION: self.version, DIGEST: self.digest, STOP: None}},
            "spec": {"predictor": {"model": {"storageUri": self.uri}}},
        }
