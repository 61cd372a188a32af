"""The ingest step of the pipeline, one for each shard."""

from kfp import dsl
from kfp.dsl import HTML, Dataset, Output

from components.runtime.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def ingest(
    dataset: Output[Dataset],
    report: Output[HTML],
    shard: str,
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
) -> None:
    """Read the rows of a shard, check them, split them into training and held-out rows, take the moments.

    Args:
        dataset: The dataset folder.
        report: What the dataset is, or which rows were refused and why.
        shard: One of those that plan lists, as JSON.
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
        duplicates: What to do about a row that repeats the features and target of an earlier one: report,
            drop or fail.
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
    """
    from components.runtime import step

    step.begin()

    from components.data.settings import Settings
    from components.data.shard import Shard
    from components.ingest.ingestion import ingest

    settings = Settings(
        features=features,
        target=target,
        test_rows=test_rows,
        test_share=test_share,
        order=order,
        group=group,
        seed=seed,
        duplicates=duplicates,
        kept_rows=kept_rows,
        ranges=ranges,
        units=units,
        exclude=exclude,
        types=types,
        missing=missing,
        max_categories=max_categories,
        max_columns=max_columns,
        unknown_categories=unknown_categories,
        decimal=decimal,
    )
    done = ingest(Shard.from_json(shard), dataset.path, settings, report.path)
    # As text: KFP would return integers as floats.
    dataset.metadata.update(
        source=done.source,
        fingerprint=done.fingerprint,
        train_rows=str(done.train_rows),
        test_rows=str(done.test_rows),
    )
