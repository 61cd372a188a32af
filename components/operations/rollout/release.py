"""A version as it is served: what the registry says of it, and what stands in the cluster."""

from dataclasses import dataclass, field

VERSION = "linear-regressor/model-version"
# With it KServe makes no pods: the chart sets it where no version is chosen yet.
STOP = "serving.kserve.io/stop"
DIGEST = "linear-regressor/model-digest"


@dataclass(frozen=True, slots=True)
class Release:
    """What an InferenceService is told to serve.

    Attributes:
        version: the number in the registry, as pods tell it.
        digest: of the model folder; empty where nobody said it, and then it is not compared.
        uri: where the folder stands. It is immutable: another version has another one.
    """

    version: str
    digest: str = field(compare=False)
    uri: str

    def __str__(self) -> str:
        return f"version {self.version}"

    def patch(self) -> dict[str, object]:
        """One change of the InferenceService that says it all, and has KServe make pods if it made none."""
        return {
            "metadata": {"annotations": {VERSION: self.version, DIGEST: self.digest, STOP: None}},
            "spec": {"predictor": {"model": {"storageUri": self.uri}}},
        }
