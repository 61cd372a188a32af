"""promtool on the alerts: they can be read, and go off when they should and at no other time."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import yaml

Object = dict[str, Any]
POD = 'namespace="linear-regressor",job="linear-regressor-predictor"'

pytestmark = pytest.mark.skipif(not which("promtool"), reason="LEFT OUT: promtool is not on the PATH")


def promtool(*arguments: str) -> None:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def rules(tmp_path: Path, helm: Callable[..., list[Object]], one: Callable[..., Object]) -> Path:
    """The rules as a file of Prometheus."""
    spec = one(helm({"monitoring": {"prometheusRule": True}}), "PrometheusRule")["spec"]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(spec))
    return file


def test_prometheus_can_read_the_rules(rules: Path) -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", str(rules))


def up(values: str, pod: str = "a") -> Object:
    return {"series": f'up{{{POD},pod="{pod}"}}', "values": values}


def requests(code: str, values: str) -> Object:
    return {"series": f'inference_requests_total{{{POD},code="{code}"}}', "values": values}


def model(digest: str, values: str) -> Object:
    return {"series": f'model_info{{{POD},pod="{digest}",digest="{digest}"}}', "values": values}


@pytest.mark.parametrize(
    ("series", "alert", "silent", "firing"),
    [
        ([up("1x9 0x9"), up("1x5 0x14", "b")], "Unavailable", "10m", "12m"),
        ([], "Unavailable", "0m", "2m"),
        ([requests("200", "0+98x30"), requests("500", "0+2x30")], "Errors", "4m", "11m"),
        ([requests("503", "0+50x30")], "Errors", "4m", "11m"),
        ([model("a", "1x40"), model("b", "_x4 1x36")], "VersionsDiffer", "18m", "20m"),
    ],
)
def test_an_alert_goes_off_after_its_time(
    rules: Path, tmp_path: Path, series: list[Object], alert: str, silent: str, firing: str
) -> None:
    ask(rules, tmp_path, series, alert, silent, fires=False)
    ask(rules, tmp_path, series, alert, firing, fires=True)


@pytest.mark.parametrize(
    ("series", "alert"),
    [
        ([up("1x60"), up("0x60", "b")], "Unavailable"),
        ([requests("200", "0+999x60"), requests("500", "0+1x60")], "Errors"),
        ([requests("400", "0+100x60")], "Errors"),
        ([requests("500", "0+0.5x60")], "Errors"),
        ([model("a", "1x60"), model("b", "_x4 1x10")], "VersionsDiffer"),
    ],
)
def test_what_is_no_trouble_sets_off_nothing(
    rules: Path, tmp_path: Path, series: list[Object], alert: str
) -> None:
    for at in ("5m", "20m", "40m", "60m"):
        ask(rules, tmp_path, series, alert, at, fires=False)


def ask(rules: Path, place: Path, series: list[Object], alert: str, at: str, *, fires: bool) -> None:
    """Have promtool find an alert firing, or not, at a time; series are of a value a minute."""
    query = f'count(ALERTS{{alertname="LinearRegressor{alert}",alertstate="firing"}}) or vector(0)'
    expected = {"expr": query, "eval_time": at, "exp_samples": [{"labels": "{}", "value": int(fires)}]}
    test = {"interval": "1m", "input_series": series, "promql_expr_test": [expected]}
    file = place / "test.yaml"
    file.write_text(
        yaml.safe_dump({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": [test]})
    )
    promtool("test", "rules", str(file))
