"""The plan step of the pipeline."""

from kfp import dsl

from components.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def plan(
    source: str = "sklearn://diabetes",
    features: list = ["bmi"],  # type: ignore[type-arg]  # noqa: B006 - KFP knows no tuples
    target: str = "target",
    duplicates: str = "report",
) -> list:  # type: ignore[type-arg]
    """List the shards of the source, each to be ingested by itself.

    Args:
        source: sklearn://NAME; or the path or URI (http, https, s3, gs ...) of a CSV or Parquet file; or a
            pattern such as s3://bucket/2024-*.parquet; or a JSON list of these.
        features: the columns to learn from.
        target: the column to predict.
        duplicates: report, drop or fail; to drop or refuse them all files are read as one shard.

    Returns:
        Of each shard, as JSON, its source, how many rows stand before it, and how many are in it and in all.
    """
    from components import step

    step.begin()

    from dataclasses import replace

    from components.ingest.plan import plan
    from components.ingest.settings import Settings
    from components.ingest.state import state

    settings = Settings(features, target, duplicates=duplicates)
    shards = plan(source, settings)
    return [replace(shard, state=state(shard.source)).to_json() for shard in shards]
