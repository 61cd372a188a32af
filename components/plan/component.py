"""The plan step of the pipeline."""

from kfp import dsl

from components.runtime.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def plan(
    registry_root: str,
    tracking_uri: str = "",
    model_name: str = "linear-regressor",
    incomparable: str = "fail",
    source: str = "sklearn://diabetes",
    features: list = ["bmi"],  # type: ignore[type-arg]  # noqa: B006 - KFP knows no tuples
    target: str = "target",
    test_rows: int = 20,
    test_share: float = 0.0,
    order: str = "",
    group: str = "",
    seed: int = 0,
    duplicates: str = "report",
    kept_rows: int = 1000000,
    ranges: dict = {},  # type: ignore[type-arg]  # noqa: B006
    units: dict = {},  # type: ignore[type-arg]  # noqa: B006
    exclude: list = [],  # type: ignore[type-arg]  # noqa: B006
    types: dict = {},  # type: ignore[type-arg]  # noqa: B006
    missing: str = "fail",
    max_categories: int = 100,
    max_columns: int = 1000,
    unknown_categories: str = "fail",
    decimal: str = ".",
    kind: str = "linear",
    model_parameters: dict = {},  # type: ignore[type-arg]  # noqa: B006
    iterations: int = 0,
    lr: float = 0.0,
    learning_rate: str = "constant",
    penalty: str = "",
    alpha: float = 0.0001,
    l1_ratio: float = 0.15,
    search: dict = {},  # type: ignore[type-arg]  # noqa: B006
    floor_r2: float = 0.0,
    minimum_improvement: float = 0.0,
    evidence: str = "interval",
    reused_rows: str = "count",
) -> list:  # type: ignore[type-arg]
    """Check the parameters of all steps, and list the shards of the source, each to be ingested by itself.

    Args:
        registry_root: where the versions are: a folder, or an object store such as s3://bucket/prefix.
        tracking_uri: of the MLflow server; by default an SQLite file in a local registry_root.
        model_name: of the registered model.
        incomparable: fail, keep or replace, when the champion can't be scored on this data. With fail, a
            champion that predicts another target is found here.
        source: sklearn://NAME; or the path or URI (http, https, s3, gs ...) of a CSV or Parquet file; or a
            pattern such as s3://bucket/2024-*.parquet; or a JSON list of these.
        features: the columns to learn from; ["*"] for all columns with a name, except the target, order,
            group and those whose names begin with an underscore.
        target: the column to predict.
        test_rows: how many of the last rows of all shards are held out.
        test_share: if positive, this share of the rows is held out instead, at random unless order is given.
        order: a column of numbers or dates; the rows with its largest values are held out, at least test_rows
            or test_share of them. Rows with equal values are on the same side.
        group: a column; rows with equal values are held out together or not at all, about test_share of all.
        seed: of the random choice of rows or groups.
        duplicates: report, drop or fail; to drop or refuse them all files are read as one shard.
        kept_rows: of more rows than this, at most so many at random go on to train.
        ranges: [lowest, highest] allowed value by column, null for none.
        units: of the columns that have one, by column.
        exclude: with features=["*"], the columns to leave out.
        types: number, boolean or category, by column, where the type found from the values is not meant.
        missing: fail, drop (leave out rows that lack a value) or mean (fill in the mean, or the most frequent
            value, of the training rows).
        max_categories: a text column with more different values is refused as an identifier.
        max_columns: at most so many columns of a model, each category being one.
        unknown_categories: fail, or ignore (count as none of the known ones), for categories that no training
            row has.
        decimal: the decimal point of numbers in text, "." or ",".
        kind: of model, as train takes it; so are the next eight parameters.
        model_parameters: checked for train.
        iterations: checked for train.
        lr: checked for train.
        learning_rate: checked for train.
        penalty: checked for train.
        alpha: checked for train.
        l1_ratio: checked for train.
        search: checked for train.
        floor_r2: checked for register, as are the remaining parameters.
        minimum_improvement: checked for register.
        evidence: checked for register.
        reused_rows: checked for register.

    Returns:
        Of each shard, as JSON, its source, which rows it has, and what its split depends on of the others.
    """
    from components.runtime import step

    step.begin()

    from dataclasses import replace

    from components.data.sources.state import state
    from components.plan.champion import check_target
    from components.plan.parameters import checked
    from components.plan.plan import plan
    from components.registry.registry import open_registry

    settings = checked({**locals(), "model": kind})  # the arguments; it ignores the imports
    if incomparable == "fail":
        check_target(open_registry(registry_root, tracking_uri, model_name), model_name, target)
    shards = plan(source, settings)
    return [replace(shard, state=state(shard.source)).to_json() for shard in shards]
