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
    seed: int = 0,
    duplicates: str = "report",
    kept_rows: int = 1000000,
    ranges: dict = {},  # type: ignore[type-arg]  # noqa: B006
    units: dict = {},  # type: ignore[type-arg]  # noqa: B006
    exclude: list = [],  # type: ignore[type-arg]  # noqa: B006
    types: dict = {},  # type: ignore[type-arg]  # noqa: B006
    missing: str = "fail",
    max_categories: int = 100,
    unknown_categories: str = "fail",
    decimal: str = ".",
) -> None:
    """Read the rows of a shard, check them, split them into training and held-out rows, take the moments.

    Args:
        dataset: the dataset folder.
        report: what the dataset is, or which rows were refused and why.
        shard: one of those that plan lists, as JSON.
        features: the columns to learn from; ["*"] for all columns with a name, but the target and those
            whose names begin with an underscore.
        target: the column to predict.
        test_rows: how many of the last rows of all shards are held out.
        test_share: if positive, this share of the rows is held out at random instead.
        seed: of that random choice.
        duplicates: report, drop or fail, when a row repeats the features and target of an earlier one.
        kept_rows: of more rows than this, at most so many at random go on to train, for a search and for the
            distributions; the fit itself is to all.
        ranges: [lowest, highest] allowed value by column, null for none.
        units: of the columns that have one, by column.
        exclude: with features=["*"], the columns to leave out.
        types: number, boolean or category, by column, where the type found from the values is not meant.
        missing: fail, drop (leave out rows that lack a value) or mean (fill in the mean, or the most frequent
            value, of the training rows).
        max_categories: a text column with more different values is refused as an identifier.
        unknown_categories: fail, or ignore (count as none of the known ones), for categories that no training
            row has.
        decimal: the decimal point of numbers in text, "." or ",".
    """
    from components.runtime import step

    step.begin()

    from components.data.settings import Settings
    from components.data.shard import Shard
    from components.ingest.ingestion import ingest

    settings = Settings(
        features,
        target,
        test_rows,
        test_share,
        seed,
        duplicates,
        kept_rows,
        ranges,
        units,
        exclude,
        types,
        missing,
        max_categories,
        unknown_categories,
        decimal,
    )
    done = ingest(Shard.from_json(shard), dataset.path, settings, report.path)
    # As text: KFP would return integers as floats.
    dataset.metadata.update(
        source=done.source,
        fingerprint=done.fingerprint,
        train_rows=str(done.train_rows),
        test_rows=str(done.test_rows),
    )
