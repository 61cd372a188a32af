"""promtool checks that the alert rules are valid, and that alerts fire when they should and only then."""

import subprocess
from pathlib import Path
from shutil import which

import pytest
import yaml

from tests.manifests.rendering import Object, find, render_chart

POD = 'namespace="linear-regressor",job="linear-regressor-predictor"'

pytestmark = pytest.mark.skipif(not which("promtool"), reason="LEFT OUT: promtool is not on the PATH")


def promtool(*arguments: str) -> None:
    """Run promtool, which has to succeed."""
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The alert rules as a Prometheus rule file."""
    spec = find(render_chart({"monitoring": {"prometheusRule": True}}), "PrometheusRule")["spec"]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(spec))
    return file


def test_rules_pass_the_lint_of_promtool(rules: Path) -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", str(rules))


def up_series(values: str, pod: str = "a") -> Object:
    return {"series": f'up{{{POD},pod="{pod}"}}', "values": values}


def request_series(code: str, values: str) -> Object:
    return {"series": f'predictor_requests_total{{{POD},code="{code}"}}', "values": values}


def model_series(digest: str, values: str) -> Object:
    return {"series": f'predictor_model_info{{{POD},pod="{digest}",digest="{digest}"}}', "values": values}


@pytest.mark.parametrize(
    ("series", "alert", "silent", "firing"),
    [
        ([up_series("1x9 0x9"), up_series("1x5 0x14", "b")], "Unavailable", "10m", "12m"),
        ([], "Unavailable", "0m", "2m"),
        ([request_series("200", "0+98x30"), request_series("500", "0+2x30")], "Errors", "4m", "11m"),
        ([request_series("503", "0+50x30")], "Errors", "4m", "11m"),
        ([model_series("a", "1x40"), model_series("b", "_x4 1x36")], "VersionsDiffer", "18m", "20m"),
    ],
)
def test_alert_fires_after_its_time(
    rules: Path, tmp_path: Path, series: list[Object], alert: str, silent: str, firing: str
) -> None:
    check_alert(rules, tmp_path, series, alert, silent, fires=False)
    check_alert(rules, tmp_path, series, alert, firing, fires=True)


@pytest.mark.parametrize(
    ("series", "alert"),
    [
        ([up_series("1x60"), up_series("0x60", "b")], "Unavailable"),
        ([request_series("200", "0+999x60"), request_series("500", "0+1x60")], "Errors"),
        ([request_series("400", "0+100x60")], "Errors"),
        ([request_series("500", "0+0.5x60")], "Errors"),
        ([model_series("a", "1x60"), model_series("b", "_x4 1x10")], "VersionsDiffer"),
    ],
)
def test_alert_does_not_fire_on_harmless_series(
    rules: Path, tmp_path: Path, series: list[Object], alert: str
) -> None:
    for at in ("5m", "20m", "40m", "60m"):
        check_alert(rules, tmp_path, series, alert, at, fires=False)


def check_alert(rules: Path, folder: Path, series: list[Object], alert: str, at: str, *, fires: bool) -> None:
    """Check whether an alert fires at a time; series have one value a minute."""
    query = f'count(ALERTS{{alertname="LinearRegressor{alert}",alertstate="firing"}}) or vector(0)'
    expected = {"expr": query, "eval_time": at, "exp_samples": [{"labels": "{}", "value": int(fires)}]}
    test = {"interval": "1m", "input_series": series, "promql_expr_test": [expected]}
    file = folder / "test.yaml"
    file.write_text(
        yaml.safe_dump({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": [test]})
    )
    promtool("test", "rules", str(file))
