"""The ingest step of the pipeline."""

from kfp import dsl
from kfp.dsl import HTML, Dataset, Output

from components.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def ingest(
    dataset: Output[Dataset],
    report: Output[HTML],
    source: str = "sklearn://diabetes",
    features: list = ["bmi"],  # type: ignore[type-arg]  # noqa: B006 - KFP knows no tuples
    target: str = "target",
    test_rows: int = 20,
    test_share: float = 0.0,
    seed: int = 0,
    duplicates: str = "report",
    ranges: dict = {},  # type: ignore[type-arg]  # noqa: B006
    units: dict = {},  # type: ignore[type-arg]  # noqa: B006
) -> None:
    """Read rows from a source, check them, and split them into training and held-out rows.

    Args:
        dataset: the dataset folder.
        report: what the dataset is, or which rows were refused and why.
        source: sklearn://NAME, or the path or URI (http, https, s3, gs ...) of CSV or Parquet files.
        features: the columns to learn from.
        target: the column to predict.
        test_rows: how many of the last rows are held out.
        test_share: if positive, this share of the rows is held out at random instead.
        seed: of that random choice.
        duplicates: report, drop or fail, when a row repeats the features and target of an earlier one.
        ranges: [lowest, highest] allowed value by column, null for none.
        units: of the columns that have one, by column.
    """
    from components.ingest.ingestion import ingest
    from components.ingest.settings import Settings

    settings = Settings(features, target, test_rows, test_share, seed, duplicates, ranges, units)
    done = ingest(source, dataset.path, settings, report.path)
    # As text: KFP would return integers as floats.
    dataset.metadata.update(
        source=done.source,
        fingerprint=done.fingerprint,
        train_rows=str(done.train_rows),
        test_rows=str(done.test_rows),
    )
