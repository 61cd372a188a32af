"""The register step of the pipeline."""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl import HTML, Artifact, Dataset, Input, Markdown, Metrics, Model, Output

from components.runtime.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def register(
    dataset: Input[Dataset],
    model: Input[Model],
    report: Input[Artifact],
    training: Input[Metrics],
    train_page: Input[HTML],
    evaluation_page: Input[HTML],
    decision: Output[Markdown],
    registry_root: str,
    job_id: str,
    job_name: str,
    run_id: str = "",
    tracking_uri: str = "",
    model_name: str = "linear-regressor",
    git_commit: str = "",
    reason: str = "by hand",
    answers: str = "",
    floor_r2: float = 0.0,
    minimum_improvement: float = 0.0,
    incomparable: str = "fail",
    evidence: str = "interval",
    reused_rows: str = "count",
) -> NamedTuple(  # type: ignore[valid-type]
    "Registered",
    [
        ("version", int),
        ("promoted", bool),
        ("reasons", list),
        ("warning", str),
        ("uri", str),
        ("champion_uri", str),
    ],
):
    """Make the candidate a version and challenger, and the champion if it passes the gate.

    Args:
        dataset: What ingest wrote.
        model: The candidate; its metadata go into the lineage.
        report: The scores of candidate and champion.
        training: The metrics of the training, for MLflow's run.
        train_page: The report of the training, for MLflow's run.
        evaluation_page: The report of the evaluation, for MLflow's run.
        decision: The gate's decision and its reasons.
        registry_root: Where the versions are: a folder, or an object store such as s3://bucket/prefix.
        job_id: The pipeline's own id of this run.
        job_name: The pipeline's own name of this run.
        run_id: The identity of the run. By default the pipeline's own id of the run.
        tracking_uri: The MLflow server. By default an SQLite file in a local registry_root.
        model_name: The name of the registered model.
        git_commit: The commit of the code, for the lineage.
        reason: Why the run was started: by hand, schedule, new data, drift ...
        answers: The days whose drift the run answers, such as 2026-01-25/2026-01-31.
        floor_r2: The R² that a candidate must exceed.
        minimum_improvement: The share by which the mean squared error must be below the champion's.
        incomparable: What to do if the champion cannot be scored on this data: fail, keep it, or replace it.
            A champion that was trained on the held-out rows is kept with a warning unless it is replace.
        evidence: What promotes a candidate: interval (an improvement beyond chance) or point (any
            improvement).
        reused_rows: What to do if the held-out rows were used in earlier comparisons: count (ask for more
            evidence) or refuse.

    Returns:
        The candidate's version and its URI, whether it became the champion and why, a warning about its
        training or its comparison, and the champion's URI (empty without one).
    """
    from components.runtime import step

    step.begin()

    import os
    from pathlib import Path

    from components.register.gate import Policy
    from components.register.register import Run, describe, register
    from components.register.track import track
    from components.registry.index import TRACKED
    from components.registry.registry import open_registry

    registry = open_registry(registry_root, tracking_uri, model_name)
    run = Run(run_id or job_id, job_name, os.environ.get("NAMESPACE", "local"), git_commit, reason, answers)
    policy = Policy(floor_r2, minimum_improvement, incomparable, evidence, reused_rows)
    details = {"data_source": dataset.metadata.get("source", ""), **model.metadata}
    tracked = registry.begin_run(run.id, run.name)
    linked = {**details, TRACKED: tracked}
    done = register(dataset.path, model.path, report.path, registry, run, policy, linked)
    Path(decision.path).write_text(describe(done), encoding="utf-8")
    pages = {"train": train_page.path, "evaluate": evaluation_page.path}
    if tracked:
        track(registry, tracked, done, run, details, training.metadata, report.path, pages)
    reasons = list(done.decision.reasons)
    warnings = (str(model.metadata.get("warning", "")), done.decision.warning)
    warning = ". ".join(filter(None, warnings))
    return done.version, done.decision.promote, reasons, warning, done.uri, done.champion_uri or ""
