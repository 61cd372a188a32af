"""Arguments that the command refuses before it does anything."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline
from components.operations.cli import fork_runner
from pipeline import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compile", "-o", "pipeline.json"], "files that end in .yaml"),
        (
            ["run", "--param", "iteration=3"],
            "there is no parameter 'iteration'. Did you mean iterations?",
        ),
        (["run", "--param", "iterations=many"], "iterations is an integer"),
        (["run", "--param", "lr"], "expected NAME=VALUE"),
        (["run", "--param", "features=[bmi"], "features is a list: a,b,c or JSON"),
        (["run", "--param", "model_name=../other"], "a model's name has letters, digits"),
        (["run", "--param", "registry_root=s3://bucket"], "need a tracking_uri"),
        (["run", "--param", "tracking_uri=http://127.0.0.1:1"], "a tracking server can't reach folders"),
        (["run", "--param", "incomparable=guess"], "incomparable is one of fail, keep, replace"),
        (["run", "--param", "test_share=2", "--param", "seed=-1"], "seed must be at least 0"),
        (
            ["run", "--param", "model=tree"],
            "unknown kind of model 'tree'; there are linear, trees. Is 'trees' meant?",
        ),
        (
            ["run", "--param", "model=trees", "--param", 'model_parameters={"max_dept": 3}'],
            "trees has no parameter 'max_dept', only max_iter, learning_rate, max_depth",
        ),
        (["run", "--param", "penalty=l3"], "The 'penalty' parameter of SimpleLinearRegression must be"),
        (
            ["run", "--param", "model=trees", "--param", 'model_parameters={"max_iter": -1}'],
            "The 'max_iter' parameter of HistGradientBoostingRegressor must be",
        ),
        (["run", "--param", 'search={"lrr": [1]}'], "unknown parameter 'lrr' in search; there are"),
        (["run", "--param", 'search={"lr": [0.1, -1]}'], "The 'lr' parameter of SimpleLinearRegression"),
        (["run", "--param", 'search={"features": [["bp"]]}'], "the dataset has no feature 'bp', only bmi"),
        (["run", "--param", "learning_rate=invscaling"], "needs iterations and lr above 0"),
        (
            [
                "submit",
                "--host",
                "http://127.0.0.1:1",
                "--param",
                "registry_root=s3://b/p",
                "--param",
                "tracking_uri=http://mlflow:5000",
                "--param",
                "model=tree",
            ],
            "unknown kind of model 'tree'",
        ),
        (["run", "--local", "/dev/null/here"], "/dev/null/here/runs"),
        (["show", "--local", "/nowhere"], "there is no run below /nowhere"),
        (
            ["serve", "--local", "/nowhere"],
            "has no champion in /nowhere",
        ),
        (["run", "--param", "search=[]"], "search is a JSON object"),
        (
            ["run", "--serve", "--port", "9000", "--grpc-port", "9000"],
            "--port and --grpc-port must be different",
        ),
        (["run", "--serve", "--param", "registry_root=s3://bucket"], "need a tracking_uri"),
        (["schedule", "--host", "http://127.0.0.1:1", "--cron", "daily"], "five fields, or six"),
    ],
)
def test_reports_invalid_arguments(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_refuses_an_invalid_port(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "--serve", f"--port={port}"])
    assert "from 1 to 65535" in capsys.readouterr().err


@pytest.mark.parametrize(("flag", "variable"), [("--port", "PORT"), ("--grpc-port", "GRPC_PORT")])
def test_reports_a_port_in_use_before_training(
    flag: str, variable: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["run", "--local", str(tmp_path / "here"), "--serve", flag, str(port)]) == 1
    error = capsys.readouterr().err
    assert f"port {port} can't be used" in error
    other = port + 1000 if port < 64000 else port - 1000
    assert f"such as {flag} {other}, or {variable}={other} with make" in error
    assert not (tmp_path / "here").exists()


def test_refuses_a_folder_that_kfp_would_misread_where_steps_are_not_forked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fork_runner, "AVAILABLE", False)
    monkeypatch.setenv("PYTHONSAFEPATH", "")
    assert main(["run", "--local", "/opt/python3/here"]) == 1
    assert "kfp replaces 'python3' by its interpreter, even in /opt/python3/here" in capsys.readouterr().err


def test_says_nothing_when_the_reader_of_its_output_has_gone(tmp_path: Path) -> None:
    program = Path(pipeline.__file__)
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as closed:  # noqa: PTH123 - a descriptor
        command = [sys.executable, str(program), "runs", "--local", str(tmp_path)]
        done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (141, "")
