"""The train step of the pipeline."""

from kfp import dsl
from kfp.dsl import HTML, Dataset, Input, Metrics, Model, Output

from components.runtime.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def train(
    shards: Input[list[Dataset]],
    dataset: Output[Dataset],
    model: Output[Model],
    metrics: Output[Metrics],
    report: Output[HTML],
    kind: str = "linear",
    model_parameters: dict = {},  # type: ignore[type-arg]  # noqa: B006 - KFP has no other way to say an empty one
    iterations: int = 0,
    lr: float = 0.0,
    learning_rate: str = "constant",
    penalty: str = "",
    alpha: float = 0.0001,
    l1_ratio: float = 0.15,
    search: dict = {},  # type: ignore[type-arg]  # noqa: B006
) -> None:
    """Merge the moments of the shards and fit the model to them.

    Args:
        shards: What ingest wrote, in the order of the rows.
        dataset: Of all shards: the held-out rows, and as many training rows as were kept.
        model: The model folder.
        metrics: Losses, training time and peak memory.
        report: The loss by step, the model and the search.
        kind: The kind of model: linear, trees, or another module of components/train/kinds.
        model_parameters: Parameters of the kind, by name, such as {"max_depth": 4}. Those that follow are of
            linear.
        iterations: The number of steps of gradient descent; 0 for as many as lead to the minimum.
        lr: The learning rate of the first step; 0 for the inverse of the largest eigenvalue.
        learning_rate: The schedule of the learning rate: constant, invscaling or auto.
        penalty: The penalty on the weights: l2, l1 or elasticnet; empty for none.
        alpha: The factor of the penalty.
        l1_ratio: The share of l1 in the penalty elasticnet.
        search: Values to choose from on a part of the kept rows, by parameter of the kind, such as {"lr":
            [0.01, 0.1], "features": [["bmi"], ["bmi", "bp"]], "validation_share": 0.2, "seed": 0}.
    """
    from components.runtime import step

    step.begin()

    from pathlib import Path

    from components.data import dataset as datasets
    from components.data.shards import merge
    from components.train import kinds, training
    from components.train.report import report as describe
    from components.train.search import Search

    descent = {
        "iterations": iterations,
        "lr": lr,
        "learning_rate": learning_rate,
        "penalty": penalty,
        "alpha": alpha,
        "l1_ratio": l1_ratio,
    }
    given = kinds.of_pipeline(kind, model_parameters, descent, searched=search)
    tried = Search.of(search, kinds.parameters(kind, given)) if search else None
    whole = merge([datasets.read(shard.path) for shard in shards], dataset.path)
    dataset.metadata.update(source=whole.source, fingerprint=whole.fingerprint)
    result = training.train(whole, model.path, kind=kind, search=tried, **given)
    model.metadata.update(result.lineage())
    if result.fit.warning:
        model.metadata["warning"] = result.fit.warning
    for name, value in result.metrics.items():
        metrics.log_metric(name, value)
    Path(report.path).write_text(describe(result), encoding="utf-8")
