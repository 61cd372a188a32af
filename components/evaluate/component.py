"""The evaluate step of the pipeline."""

from kfp import dsl
from kfp.dsl import HTML, Artifact, Dataset, Input, Metrics, Model, Output

from components.runtime.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def evaluate(
    dataset: Input[Dataset],
    model: Input[Model],
    report: Output[Artifact],
    page: Output[HTML],
    metrics: Output[Metrics],
    registry_root: str,
    tracking_uri: str = "",
    model_name: str = "linear-regressor",
) -> None:
    """Score the candidate and the present champion on the same held-out rows.

    Args:
        dataset: What ingest wrote.
        model: The candidate.
        report: The scores as JSON, for the gate.
        page: The scores, the residuals and the predictions against the true values.
        metrics: The candidate's scores.
        registry_root: Where the versions are: a folder, or an object store such as s3://bucket/prefix.
        tracking_uri: The MLflow server. By default an SQLite file in a local registry_root.
        model_name: The name of the registered model.
    """
    from components.runtime import step

    step.begin()

    import math
    from dataclasses import asdict

    from components.evaluate.evaluate import evaluate
    from components.registry.registry import open_registry

    registry = open_registry(registry_root, tracking_uri, model_name)
    result = evaluate(dataset.path, model.path, registry, report.path, page.path)
    for name, value in asdict(result)["candidate"]["scores"].items():
        if math.isfinite(value):
            metrics.log_metric(name, value)
