"""Writes the pages of docs/reference from the code: ``python -m docs.tools.reference``.

A test compares the pages with what this would write. The chart's values have a generator of their own,
``helm/readme.py``.
"""

import argparse
import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args, get_origin

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from pydantic_core import PydanticUndefined

import pipeline
from components.runtime.image import PIPELINE_IMAGE
from predictor import errors
from predictor.feedback.recorder import Recorder
from predictor.feedback.store import open_store
from predictor.kserve_compat import flags
from predictor.model.evaluation import Evaluation, Quality
from predictor.model.handle import LoadedModel, ModelHandle
from predictor.observability import drift_metrics
from predictor.service.inference import InferenceService
from predictor.settings import PREFIX, Settings
from tests.support.models import linear_model

FOLDER = Path(__file__).parents[1] / "reference"
GENERATED = "<!-- Written by python -m docs.tools.reference; change the code instead. -->"


def settings() -> str:
    """Return the page of the predictor's settings and flags."""
    rows = []
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        variable = alias if isinstance(alias, str) else f"{PREFIX}{name.upper()}"
        default = None if field.default is PydanticUndefined else field.default
        rows.append((code(variable), kind(field.annotation), amount(name, default), field.description or ""))
    options = [row for row in arguments(flags.make_parser()) if row[0] != "`-h`, `--help`"]
    return page(
        "Settings of the predictor",
        "Settings are environment variables, in the chart `extraEnv`. An empty variable counts as not set. "
        "[Serving](../serving.md) describes what they do together.",
        table(("variable", "type", "default", "meaning"), rows),
        "## Flags",
        "`python -m predictor` has those flags of KServe's server that have an effect. Any other flag of "
        "KServe is an error at the start, unless it has its default value.",
        table(("flag", "default", "meaning"), options),
    )


def parameters() -> str:
    """Return the page of the pipeline's parameters."""
    defaults, meanings = pipeline.defaults(), pipeline.meanings()
    rows = [
        (
            code(name),
            type_.lower(),
            code(json.dumps(defaults[name])) if name in defaults else "required",
            meanings[name],
        )
        for name, type_ in pipeline.kinds().items()
    ]
    return page(
        "Parameters of the pipeline",
        "`pipeline.py run`, `submit`, `schedule` and `retrain` take them as `--param NAME=VALUE`, or from a "
        "YAML file with `--params FILE`. On one machine `registry_root` is the folder `.local` by default. "
        "[Tables](../data.md), [training](../training.md) and [statistics](../statistics.md#the-gate) "
        "explain them.",
        table(("parameter", "type", "default", "meaning"), rows),
    )


def commands() -> str:
    """Return the page of the commands of pipeline.py."""
    parser = pipeline.make_parser()
    parts = []
    for name, command in subcommands(parser):
        parts += [f"## {name}", f"{sentence(summary(parser, name))}"]
        options = [row for row in arguments(command) if row[0] != "`-h`, `--help`"]
        if options:
            parts.append(table(("option", "default", "meaning"), options))
    return page(
        "Commands",
        "`python pipeline.py COMMAND`, or `linear-regressor COMMAND` where the package is installed. Every "
        "command has `--help`, and exits with 0 if it succeeds. [Pipelines](../pipelines.md), "
        "[rollouts](../rollouts.md) and [monitoring](../monitoring.md) say what other exit statuses mean.",
        *parts,
    )


def metrics() -> str:
    """Return the page of the predictor's metrics."""
    handle = ModelHandle("linear-regressor", Path("models/1"))
    unused = Quality(0.0, 0.0)
    evaluation = Evaluation("", 1, unused, unused, (1,), (0.0,), "", "2026-01-01T00:00:00+00:00")
    handle.loaded = LoadedModel(linear_model(), "", 0.0, evaluation)
    with TemporaryDirectory() as folder:
        recorder = Recorder(open_store(folder), 1, 1)
        service = InferenceService(handle, Settings(decisions_dir=Path(folder)), recorder=recorder)
        error = {"mean_squared_error": 0.0, "standard_error": 0.0, "rows": 1}
        for kind, entry in {"gate": {"champion": "1"}, "retraining": {"quality": {"live": error}}}.items():
            (Path(folder) / f"{kind}.json").write_text(json.dumps(entry))
        service.metrics.certificate_expires = lambda: 0.0
        families = list(service.metrics.collect())
        # Drift has metrics once there is a sample.
        service.drift.offer([[0.0]], [0.0])
        service.drift.count()
    if report := service.drift.report:
        families += text_string_to_metric_families(drift_metrics.render(report, "1").decode())
    rows = [
        (code(exposed(family)), family.type, ", ".join(map(code, labels(family))), family.documentation)
        for family in families
    ]
    return page(
        "Metrics",
        "`GET /metrics` has these in the text format of Prometheus or as OpenMetrics, beside those of the "
        "process and of Python.",
        table(("metric", "type", "labels", "meaning"), rows),
    )


def statuses() -> str:
    """Return the page of the errors that a client can get."""
    classes = sorted(subclasses(errors.PredictorError), key=lambda error: (error.status, error.__name__))
    rows = [
        (str(error.status), code(error.grpc_code), code(error.reason), code(error.kind), summary_of(error))
        for error in classes
    ]
    return page(
        "Errors",
        '`{"error": "…"}` says what is wrong and where. Over gRPC the same text is the status message. '
        "[The endpoints](../api.md#errors) have an example of each. The labels are those of "
        "`predictor_rejections_total` and `predictor_invalid_input_total`.",
        table(("HTTP", "gRPC", "label `reason`", "label `kind`", "when"), rows),
    )


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings,
    "parameters.md": parameters,
    "commands.md": commands,
    "metrics.md": metrics,
    "errors.md": statuses,
}


def page(title: str, *parts: str) -> str:
    """Put parts of Markdown under a heading."""
    return "\n\n".join((f"# {title}", GENERATED, *parts)) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines)


def cell(text: str) -> str:
    """Write a docstring as the cell of a table."""
    plain = re.sub(r"``([^`]+)``", r"`\1`", " ".join(text.split()))
    return plain.replace("|", "\\|")


def code(text: str) -> str:
    """Mark text as code."""
    return f"`{text}`" if text else ""


def kind(annotation: Any) -> str:
    """Return what a setting takes, in words."""
    if get_origin(annotation) is Literal:
        return ", ".join(map(code, get_args(annotation)))
    if get_origin(annotation) is tuple:
        return "JSON list"
    names = {"int": "integer", "float": "number", "Path": "path"}
    found = [one for one in (annotation, *get_args(annotation)) if isinstance(one, type)]
    return next((names[one.__name__] for one in found if one.__name__ in names), "text")


def amount(name: str, value: Any) -> str:
    """Write a default; bytes in a unit that people read."""
    if value in (None, "", ()):
        return "none"
    if name.endswith("bytes"):
        for unit, size in (("MiB", 2**20), ("KiB", 2**10)):
            if value % size == 0:
                return f"{value // size} {unit}"
    return code(
        json.dumps(value)
        if isinstance(value, tuple)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )


def arguments(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str, str]]:
    """Yield the names, the default and the meaning of each argument that a parser shows."""
    for action in parser._actions:  # noqa: SLF001  argparse has no public list of them
        if action.help == argparse.SUPPRESS or isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            continue
        shown = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
        names = ", ".join(map(code, action.option_strings)) or code(str(action.metavar or action.dest))
        if action.option_strings and shown:
            names += f" {code(str(shown))}"
        default = "" if action.default in (None, False, argparse.SUPPRESS, []) else code(str(action.default))
        default = default.replace(PIPELINE_IMAGE, f"{PIPELINE_IMAGE.partition(':')[0]}:VERSION")
        # The default has a column of its own.
        meaning = re.sub(r" ?\(%\(default\)\w+\)", "", action.help or "")
        required = "required" if action.required and action.option_strings else default
        yield names, required, meaning


def subcommands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield the name and the parser of each command, in alphabetical order."""
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            yield from sorted(action.choices.items())


def summary(parser: argparse.ArgumentParser, name: str) -> str:
    """Return the line that the help has for a command."""
    (action,) = (one for one in parser._actions if isinstance(one, argparse._SubParsersAction))  # noqa: SLF001
    return next(str(choice.help) for choice in action._choices_actions if choice.dest == name)  # noqa: SLF001


def sentence(text: str) -> str:
    """End a line with a period."""
    return text if text.endswith(".") else f"{text}."


def summary_of(thing: type) -> str:
    """Return the first line of a docstring."""
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def subclasses(base: type[errors.PredictorError]) -> Iterator[type[errors.PredictorError]]:
    """Yield the subclasses of an error that errors.py defines, at any depth."""
    for child in base.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
        yield from subclasses(child)


def exposed(family: Metric) -> str:
    """Return the name of a metric as Prometheus shows it."""
    return f"{family.name}_total" if family.type == "counter" else family.name


def labels(family: Metric) -> Sequence[str]:
    """Return the names of a metric's labels."""
    return tuple(getattr(family, "_labelnames", ())) or tuple(next(iter(family.samples)).labels)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, write in PAGES.items():
        (FOLDER / name).write_text(write(), encoding="utf-8")
