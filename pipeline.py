"""The pipeline ingest, train, evaluate, register on Kubeflow Pipelines, and the commands around it.

``python pipeline.py COMMAND --help`` describes a command. The same steps run on this machine and on a
cluster.
"""

import argparse
import os
import re
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

try:
    import kfp
except ModuleNotFoundError as error:
    if __name__ != "__main__":
        raise
    sys.exit(f"error: {error}. Activate the environment that make install makes: . .venv/bin/activate")
from kfp import compiler, dsl
from kfp.client import KF_PIPELINES_SA_TOKEN_ENV, ServiceAccountTokenVolumeCredentials

from components.data.problems import InvalidDataError
from components.evaluate.component import evaluate
from components.ingest.component import ingest
from components.operations.cli import card, local, monitor, parameters, remote, retraining, rollout
from components.operations.cli.checkout import commit
from components.operations.cli.errors import CommandError, carry_out
from components.operations.cli.local import LocalProject
from components.operations.cli.remote import Project
from components.operations.cli.subcommand import add_command
from components.plan.component import plan
from components.plan.parameters import checked
from components.register.component import register
from components.registry.signing import IMAGE
from components.runtime import pods
from components.runtime.image import PIPELINE_IMAGE
from components.train.component import train

NAME = "linear-regressor"
# What a run's code consists of.
CODE = ("components", "predictor", "pipeline.py")
# What train calls otherwise: its output is the model.
RENAMED = {"model": "kind"}
# What a step on this machine would import by itself: its own code, and what that imports only when needed.
PRELOADED = (
    "components.plan.plan",
    "components.ingest.ingestion",
    "components.train.training",
    "components.train.report",
    "components.train.kinds.linear",
    "components.evaluate.evaluate",
    "components.register.track",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "pandera.pandas",
    "pyarrow.dataset",
    "sklearn.datasets",
)


class Registered(NamedTuple):
    """What a run of the pipeline ends with."""

    version: int
    promoted: bool
    reasons: list  # type: ignore[type-arg]
    warning: str
    champion_uri: str


@dsl.pipeline(name=NAME, description="From a source of rows to a registered, gated model.")
def linear_regressor(
    registry_root: str,
    tracking_uri: str = "",
    model_name: str = NAME,
    run_id: str = "",
    git_commit: str = "",
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
    model: str = "linear",
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
    incomparable: str = "fail",
    evidence: str = "interval",
    reused_rows: str = "count",
    reason: str = "by hand",
    answers: str = "",
) -> Registered:
    """Chain the steps; the step that takes a parameter describes it."""
    planned = plan(
        registry_root=registry_root,
        tracking_uri=tracking_uri,
        model_name=model_name,
        incomparable=incomparable,
        source=source,
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
        kind=model,
        model_parameters=model_parameters,
        iterations=iterations,
        lr=lr,
        learning_rate=learning_rate,
        penalty=penalty,
        alpha=alpha,
        l1_ratio=l1_ratio,
        search=search,
        floor_r2=floor_r2,
        minimum_improvement=minimum_improvement,
        evidence=evidence,
        reused_rows=reused_rows,
    )
    with dsl.ParallelFor(planned.output) as shard:
        part = ingest(
            shard=shard,
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
    fitted = train(
        shards=dsl.Collected(part.outputs["dataset"]),
        kind=model,
        model_parameters=model_parameters,
        iterations=iterations,
        lr=lr,
        learning_rate=learning_rate,
        penalty=penalty,
        alpha=alpha,
        l1_ratio=l1_ratio,
        search=search,
    )
    scored = evaluate(
        dataset=fitted.outputs["dataset"],
        model=fitted.outputs["model"],
        registry_root=registry_root,
        tracking_uri=tracking_uri,
        model_name=model_name,
    )
    registered = register(
        dataset=fitted.outputs["dataset"],
        model=fitted.outputs["model"],
        report=scored.outputs["report"],
        training=fitted.outputs["metrics"],
        train_page=fitted.outputs["report"],
        evaluation_page=scored.outputs["page"],
        registry_root=registry_root,
        tracking_uri=tracking_uri,
        model_name=model_name,
        job_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        job_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER,
        run_id=run_id,
        git_commit=git_commit,
        reason=reason,
        answers=answers,
        floor_r2=floor_r2,
        minimum_improvement=minimum_improvement,
        incomparable=incomparable,
        evidence=evidence,
        reused_rows=reused_rows,
    )
    for task in (planned, part, fitted, scored, registered):
        # A source and a registry change behind an unchanged name: the same inputs prove nothing. A shard says
        # the state of its source, and so do the artifacts that come of it.
        task.set_caching_options(enable_caching=task in (part, fitted))
        pods.prepare(task)
    # For the model's provenance.
    registered.set_env_variable(IMAGE, PIPELINE_IMAGE)
    outputs = registered.outputs
    return Registered(*(outputs[name] for name in Registered._fields))


def main(arguments: list[str] | None = None) -> int:
    """Carry out one command; returns the exit status."""
    options = make_parser().parse_args(arguments)
    warnings.filterwarnings("ignore", module="kfp")
    return carry_out(options)


def compile_command(options: argparse.Namespace) -> int:
    """Write the pipeline as KFP's YAML, or as Kubernetes resources."""
    if not options.output.endswith((".yaml", ".yml")):
        raise CommandError(f"-o {options.output}: KFP reads files that end in .yaml")
    resources = compiler.compiler_utils.KubernetesManifestOptions(
        pipeline_name=NAME, namespace=options.namespace, include_pipeline_manifest=True
    )
    as_resources = {"kubernetes_manifest_format": True, "kubernetes_manifest_options": resources}
    compile_to(options.output, options.image, **(as_resources if options.kubernetes_manifest else {}))
    print(f"wrote {options.output}")
    return 0


def compile_to(
    output: str | Path, image: str = PIPELINE_IMAGE, *, caching: bool = True, **options: Any
) -> None:
    """Compile the pipeline; ``image`` is what its steps run in, ``caching`` whether any may be left out."""
    compiler.Compiler().compile(linear_regressor, str(output), **options)
    written = Path(output).read_text(encoding="utf-8")
    changed = re.sub(rf"(?m)^( +(?:image|value): ){re.escape(PIPELINE_IMAGE)}$", rf"\g<1>{image}", written)
    if not caching:
        # KFP's own switch does not reach into loops.
        changed = changed.replace("enableCache: true", "enableCache: false")
    if changed != written:
        Path(output).write_text(changed, encoding="utf-8")


def _git_commit() -> str:
    return commit(Path(__file__).resolve().parent, CODE)


def _connect(host: str, namespace: str | None) -> kfp.Client:
    # Beside an address kfp reads the token of a pod's ServiceAccount only when it is told to.
    projected = KF_PIPELINES_SA_TOKEN_ENV in os.environ
    return kfp.Client(
        host=host,
        namespace=namespace or "kubeflow",
        existing_token=os.environ.get("KFP_TOKEN"),
        credentials=ServiceAccountTokenVolumeCredentials() if projected else None,
    )


def kinds() -> dict[str, str]:
    """KFP's type of each parameter of the pipeline."""
    return {name: spec.type for name, spec in linear_regressor.component_spec.inputs.items()}


def defaults() -> dict[str, Any]:
    """The default of each parameter of the pipeline that has one."""
    inputs = linear_regressor.component_spec.inputs
    return {name: spec.default for name, spec in inputs.items() if spec.optional}


def meanings() -> dict[str, str]:
    """What each parameter of the pipeline means, from the docstrings of the steps."""
    # What plan only checks is described at the step that uses it.
    steps = [step.python_func for step in (ingest, train, evaluate, register, plan)]
    return parameters.meanings(kinds(), steps, RENAMED)


def check(given: Mapping[str, Any]) -> None:
    """Check parameters before anything runs.

    Raises:
        CommandError: it lists every problem.
    """
    try:
        checked({**defaults(), **given})
    except InvalidDataError as error:
        listed = "\n- ".join(map(str, error.problems))
        raise CommandError(f"invalid parameters:\n- {listed}") from error


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(prog="pipeline.py", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    packaging = argparse.ArgumentParser(add_help=False)
    packaging.add_argument("--image", default=PIPELINE_IMAGE, help="the image of the steps (%(default)s)")
    packaging.add_argument("--namespace", help="the namespace")
    parametric = argparse.ArgumentParser(add_help=False)
    parameters.add_options(parametric)
    command = add_command(commands, compile_command, compile_command, packaging)
    command.add_argument("-o", "--output", required=True, metavar="FILE", help="a .yaml file")
    command.add_argument(
        "--kubernetes-manifest", action="store_true", help="as Pipeline and PipelineVersion resources"
    )
    epilog = parameters.describe(kinds(), defaults(), meanings()).replace("%", "%%")
    here = LocalProject(NAME, linear_regressor, defaults, kinds, check, _git_commit, PRELOADED)
    local.add(commands, here, parametric, epilog)
    project = Project(NAME, kinds, compile_to, _connect, _git_commit, check)
    started = remote.starting(packaging, parametric)
    remote.add(commands, project, started, epilog)
    rollout.add(commands)
    monitor.add(commands)
    card.add(commands)
    retraining.add(commands, project, started, epilog)
    return parser


if __name__ == "__main__":
    sys.exit(main())
