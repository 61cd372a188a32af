"""Commands of the documents for a cluster, with stand-ins for Kubeflow, Kubernetes and stores."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace as Record
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

import pipeline
from predictor.model.base import Distribution, Model, Reference
from predictor.model.inputs import Column, Input
from tests.components.operations.cli.conftest import TRAINED, client, mocked, record_feedback
from tests.components.operations.cli.kubeflow import listed_run, run_with, task
from tests.components.operations.cli.test_rollout import cluster
from tests.components.operations.cli.test_status import core
from tests.components.operations.rollout.conftest import World
from tests.docs.blocks import ROOT, Block, Command
from tests.docs.classes import executed_here
from tests.docs.shell import agree
from tests.support.models import linear_model
from tests.support.registry import register_models
from tests.support.repository import make_repository, pushed

__all__ = ["client", "cluster", "core", "mocked"]
Factory = pytest.TempPathFactory
Capture = pytest.CaptureFixture[str]
KUBERNETES = re.compile(r"\b(reconcile|canary|promote|rollback)\b")
# The values for ``...`` in a command.
LEFT_OUT = (
    "--host https://kfp.example.com --param registry_root=s3://m --param tracking_uri=http://mlflow:5000"
)


def blocks(*, of_kubernetes: bool) -> list[Block]:
    """Return the blocks with such commands."""
    found = dict.fromkeys(command.block for command in executed_here(with_stand_ins=True))
    return [block for block in found if bool(KUBERNETES.search(block.text)) is of_kubernetes]


def commands_of(block: Block) -> list[Command]:
    return [command for command in executed_here(with_stand_ins=True) if command.block == block]


def words(text: str) -> list[str]:
    """Return the arguments of pipeline.py."""
    found = shlex.split(text.replace("\\\n", " "), comments=True)
    return found[found.index("pipeline.py") + 1 :]


def size_model() -> Model:
    """Return a model of prices by size."""
    reference = Reference(1000, {"size": Distribution.of(TRAINED)}, Distribution.of(2 * TRAINED + 1))
    return linear_model(
        (2.0,),
        1.0,
        features=[Input("size", -3.0, 3.0)],
        target=Column("price", 0.0, 1.0),
        reference=reference,
    )


def progress(run_id: str, client: Mock) -> Iterator[Any]:
    """Yield the states of a run, whose steps succeed one after the other; the last one for ever."""
    plan = task("plan", "SUCCEEDED")
    states = ["SUCCEEDED"] * 3 + ["RUNNING"] * 5
    yield run_with("RUNNING", [plan, *(task("ingest", state, at=1) for state in states)])
    done = run_with("SUCCEEDED", [plan, *(task(name, "SUCCEEDED", at=2) for name in ("ingest", "train"))])
    done.run_id = run_id
    client.list_runs.return_value = Record(runs=[listed_run("SUCCEEDED", 1, run_id)])
    while True:
        yield done


@pytest.mark.usefixtures("core")
@pytest.mark.parametrize("block", blocks(of_kubernetes=False), ids=lambda block: block.document)
def test_commands_for_kubeflow_do_what_the_document_says(
    block: Block, client: Mock, tmp_path: Path, tmp_path_factory: Factory, capsys: Capture
) -> None:
    register_models(tmp_path_factory, tmp_path / "models", size_model())
    record_feedback(tmp_path / "bucket" / "feedback", TRAINED[:400] + 2.0, np.full(400, 2.0), "size")
    shown = re.search(r"run (\w+)-… started", block.text)
    run_id = f"{shown[1] if shown else 'r'}-1"
    client.run_pipeline.return_value = Record(run_id=run_id)
    client.get_run.side_effect = progress(run_id, client)
    variables: dict[str, str] = {}
    for command in commands_of(block):
        if exported := re.fullmatch(r"export (\w+)='(.*)'", command.text):
            variables[f"${exported[1]}"] = exported[2]
            continue
        text = command.text.replace(" ...", f" {LEFT_OUT}")
        for name, value in variables.items():
            text = text.replace(name, value)
        if " retrain " in text:
            # The stand-in of a store is a folder, and that of its registry needs no server.
            text = re.sub(r"--tracking-uri \S+", "", text).replace("s3://", f"{tmp_path}/")
        given = words(text)
        client.run_pipeline.reset_mock()
        assert pipeline.main(given) == 0
        printed = capsys.readouterr().out.replace(f"{tmp_path}/", "s3://")
        assert not command.output or agree(printed, command.output), printed
        if given[0] in ("submit", "retrain"):
            parameters = client.run_pipeline.call_args.kwargs["params"]
            names = [word.partition("=")[0] for before, word in pairwise(given) if before == "--param"]
            assert names
            assert set(names) <= set(parameters)


@pytest.mark.parametrize("block", blocks(of_kubernetes=True), ids=lambda block: block.section)
def test_commands_for_kubernetes_do_what_the_document_says(
    block: Block, cluster: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    place = tmp_path / "here"
    (place / "deploy").mkdir(parents=True)
    (place / "deploy" / "values.yaml").write_text("model:\n  storageUri: s3://b/1/\n  version: '1'\n")
    shutil.copy(ROOT / "manifests" / "version.yaml", place / "deploy")
    make_repository(place)
    monkeypatch.chdir(place)
    git_owns = "git apply" in block.text
    if git_owns:
        lease = cluster.cluster.objects["leases/lr-rollout"]["metadata"]
        lease["annotations"]["linear-regressor/owner"] = "git"
    for number, command in enumerate(commands_of(block), 4):
        if command.text.startswith("git "):
            subprocess.run(["bash", "-euc", command.text], check=True)
            assert pushed(place, "--format=%s").startswith("Serve version")
            continue
        cluster.make_champion(number)
        text, _, after = command.text.partition(" | ")
        given = words(text.replace(" … ", " --registry-root s3://b "))
        site = ["--namespace", "ns", "--name", "lr", "--policy", str(tmp_path / "policy.json")]
        assert pipeline.main([*given, *site]) == int(git_owns), capsys.readouterr().err
        printed = capsys.readouterr().out
        wanted = "3" if "--to" in given else str(number)
        if after:
            subprocess.run(["bash", "-euc", after], input=printed, text=True, check=True)
            assert f"models/lr/{wanted}/" in (place / given[given.index("--file") + 1]).read_text()
        else:
            assert printed.endswith(f"every pod serves version {wanted}\n")
            assert cluster.cluster.served() == {wanted}
