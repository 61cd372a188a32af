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
    """Check the parameters of all steps, and list the shards of the source. One ingest step reads each shard.

    Args:
        registry_root: Where the versions are: a folder, or an object store such as s3://bucket/prefix.
        tracking_uri: The MLflow server. By default an SQLite file in a local registry_root.
        model_name: The name of the registered model.
        incomparable: What to do if the champion cannot be scored on this data: fail, keep it, or replace it.
            With fail, a champion that predicts another target is found here.
        source: sklearn://NAME, the path or URI (http, https, s3, gs ...) of a CSV or Parquet file, a pattern
            such as s3://bucket/2024-*.parquet, or a JSON list of these.
        features: The columns to learn from. ["*"] means all named columns except the target, order, group and
            those whose names begin with an underscore.
        target: The column to predict, a number.
        test_rows: How many of the last rows of all files are held out.
        test_share: If above 0, this share of the rows is held out instead, at random unless order is given.
        order: A column of numbers or dates. The rows with its largest values are held out: at least test_rows
            or test_share of them, because rows with equal values are on the same side.
        group: A column. Rows with equal values are held out together or not at all: about test_share of all
            rows.
        seed: The seed of the random choice of rows or groups.
        duplicates: report, drop or fail, for a row that repeats an earlier one. To drop or refuse them, all
            files are read as one shard.
        kept_rows: At most so many training rows, chosen at random, are kept for a search and for the
            distributions. The fit itself uses all rows.
        ranges: The allowed values by column, as [lowest, highest]; either may be null.
        units: The units of columns, by column.
        exclude: With features=["*"], the columns to leave out.
        types: number, boolean or category, by column, where the type found from the values is not the right
            one.
        missing: What to do about missing values: fail, drop (leave out rows that lack one) or mean (replace
            them by the mean, or the most frequent value, of the training rows).
        max_categories: A text column with more different values is refused, because it looks like an
            identifier.
        max_columns: A model with more columns is refused. Each category counts as one.
        unknown_categories: What to do about categories that no training row has: fail, or ignore (count them
            as none of the known ones).
        decimal: The decimal point of numbers in text: "." or ",".
        kind: Checked for train.
        model_parameters: Checked for train.
        iterations: Checked for train.
        lr: Checked for train.
        learning_rate: Checked for train.
        penalty: Checked for train.
        alpha: Checked for train.
        l1_ratio: Checked for train.
        search: Checked for train.
        floor_r2: Checked for register.
        minimum_improvement: Checked for register.
        evidence: Checked for register.
        reused_rows: Checked for register.

    Returns:
        For each shard, as JSON: its source, which rows it has, and what its split depends on in other shards.
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
