"""promtool checks that the rules are valid, and that alerts fire when they should and only then."""

import re
import subprocess
from pathlib import Path
from shutil import which

import pytest
import yaml

from predictor.observability.counting import OBJECTIVE_SECONDS
from tests.manifests.rendering import NAME, ROOT, Installation, Object, find, render_chart

POD = f'namespace="{NAME}",release="{NAME}",job="{NAME}-predictor"'
CANARY = f'namespace="{NAME}",release="{NAME}",job="{NAME}-canary-predictor"'
DAY = 86_400
WINDOWS = ["5m", "30m", "1h", "2h", "6h", "1d", "3d"]

needs_promtool = pytest.mark.skipif(not which("promtool"), reason="LEFT OUT: promtool is not on the PATH")


def promtool(*arguments: str) -> None:
    """Run promtool, which has to succeed."""
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def spec(installation: Installation | None = None) -> Object:
    """Return the rules of an installation."""
    installation = installation or Installation()
    rules = find(
        render_chart({"monitoring": {"prometheusRule": True}}, installation),
        "PrometheusRule",
        installation.name,
    )["spec"]
    assert isinstance(rules, dict)
    return rules


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The rules as a Prometheus rule file."""
    return write(spec(), tmp_path / "rules.yaml")


def write(content: Object, file: Path) -> Path:
    file.write_text(yaml.safe_dump(content))
    return file


@needs_promtool
def test_rules_pass_the_lint_of_promtool(rules: Path) -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", str(rules))


def alerts(content: Object) -> list[Object]:
    return [rule for group in content["groups"] for rule in group["rules"] if "alert" in rule]


def test_each_alert_has_a_severity_a_summary_and_a_runbook_that_exists() -> None:
    headings = re.findall(r"^### (\w+)$", (ROOT / "docs" / "runbooks.md").read_text(), re.MULTILINE)
    found = alerts(spec())
    for rule in found:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert {"summary", "description"} <= set(rule["annotations"])
        url, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert url.endswith("/docs/runbooks.md")
        assert anchor == rule["alert"].lower()
    assert sorted(headings) == sorted({rule["alert"] for rule in found})


def test_each_expression_selects_the_namespace_and_the_name_of_its_group_first_and_only_there() -> None:
    installation = Installation("prices", "team")
    for group in spec(installation)["groups"]:
        assert group["name"].startswith(installation.name)
        for rule in group["rules"]:
            quoted = re.findall(r'"([^"]*)"', rule["expr"])
            if not rule["expr"].startswith("release:") or quoted:
                assert quoted[0] == "team", rule
                assert quoted[1] == group["name"], rule
            assert not {"team", group["name"]} & set(quoted[2:]), rule


def test_the_objective_of_latency_is_the_one_of_the_predictor() -> None:
    text = yaml.safe_dump(spec(), width=10_000)
    assert set(re.findall(r'le="([^"]*)"', text)) == {str(OBJECTIVE_SECONDS)}


def series(name: str, labels: str, values: str) -> Object:
    return {"series": f"{name}{{{labels}}}", "values": values}


def up_series(values: str, pod: str = "a") -> Object:
    return series("up", f'{POD},pod="{pod}"', values)


def requests(code: str, values: str, traffic: str = "user", pods: str = POD) -> Object:
    labels = f'{pods},traffic="{traffic}",code="{code}",version="1"'
    return series("predictor_requests_total", labels, values)


def durations(all_: str, within: str, traffic: str = "user") -> list[Object]:
    labels = f'{POD},traffic="{traffic}"'
    name = "predictor_request_duration_seconds"
    return [
        series(f"{name}_count", labels, all_),
        series(f"{name}_bucket", f'{labels},le="{OBJECTIVE_SECONDS}"', within),
    ]


def model_series(digest: str, values: str, pods: str = POD) -> Object:
    return series(
        "predictor_model_info", f'{pods},pod="{digest}",digest="{digest}",version="{digest}"', values
    )


def drift(shares: list[int], rows: int, reference_rows: int = 10_000, pods: int = 2) -> list[Object]:
    """Return the metrics of pods whose samples have the same shares of rows in the bins, in percent."""
    found = []
    column = 'version="1",column="bmi"'
    for pod in range(pods):
        labels = f'{POD},pod="{pod}"'
        for number, share in enumerate(shares):
            bin_ = f'{labels},{column},bin="{number}"'
            found.append(series("predictor_drift_rows", bin_, f"{rows * share / 100}x60"))
            found.append(series("predictor_drift_reference_share", bin_, "0.25x60"))
        found += [
            series("predictor_drift_effective_rows", f"{labels},{column}", f"{rows}x60"),
            series("predictor_drift_chance", f"{labels},{column}", "17.7x60"),
            series("predictor_drift_threshold", labels, "0.05x60"),
            series("predictor_drift_fewest_rows", labels, "200x60"),
            series("predictor_drift_reference_rows", labels, f"{reference_rows}x60"),
        ]
    return found


def autoscaler(pods: int, most: int) -> list[Object]:
    labels = f'namespace="{NAME}",horizontalpodautoscaler="hpa"'
    name = "kube_horizontalpodautoscaler"
    return [
        series(f"{name}_info", f'{labels},scaletargetref_name="{NAME}-predictor"', "1x60"),
        series(f"{name}_status_current_replicas", labels, f"{pods}x60"),
        series(f"{name}_spec_max_replicas", labels, f"{most}x60"),
    ]


def job(cron_job: str, failed: int, started: int = 0) -> list[Object]:
    labels = f'namespace="{NAME}",job_name="one"'
    owner = f'{labels},owner_kind="CronJob",owner_name="{NAME}-{cron_job}"'
    return [
        series("kube_job_owner", owner, "1x200"),
        series("kube_job_status_failed", labels, f"{failed}x200"),
        series("kube_job_status_start_time", labels, f"{started}x200"),
    ]


def cron_job(name: str, metric: str, values: str) -> list[Object]:
    labels = f'namespace="{NAME}",cronjob="{NAME}-{name}"'
    return [series(f"kube_cronjob_{metric}", labels, values)]


def quality(values: str) -> list[Object]:
    return [series("predictor_quality_lost", f'{POD},pod="{pod}"', values) for pod in "ab"]


def rollout(outcome: str, at: int) -> list[Object]:
    """Return the metrics of two pods that say how a rollout ended, and when."""
    decision = 'decision="rollout"'
    return [
        one
        for pod in (f'{POD},pod="a"', f'{CANARY},pod="b"')
        for one in (
            series("predictor_decision_info", f'{pod},{decision},outcome="{outcome}",version="2"', "1x200"),
            series("predictor_decision_timestamp_seconds", f"{pod},{decision}", f"{at}x200"),
        )
    ]


def champion(version: str, values: str = "1x200") -> Object:
    return series("predictor_registry_champion_info", f'{POD},pod="a",version="{version}"', values)


def counter(name: str, labels: str, values: str) -> list[Object]:
    return [series(name, f"{POD},{labels}", values)]


TWO_VERSIONS = [model_series("1", "1x300"), model_series("2", "1x300", CANARY)]
USERS = requests("200", "0+60x300")
MOVED, SAME = [70, 10, 10, 10], [25, 25, 25, 25]
EXPIRY = "predictor_certificate_expiry_timestamp_seconds"


@needs_promtool
@pytest.mark.parametrize(
    ("given", "alert", "silent", "firing"),
    [
        ([up_series("1x9 0x9"), up_series("1x5 0x14", "b")], "Unavailable", "10m", "12m"),
        ([], "Absent", "4m", "6m"),
        ([series("predictor_ready", POD, "1x9 0x9")], "NotReady", "9m", "12m"),
        ([model_series("a", "1x40"), model_series("b", "_x4 1x36")], "VersionsDiffer", "18m", "20m"),
        ([requests("200", "0+98x70"), requests("500", "0+0x30 2+2x40")], "ErrorBudgetBurn", "29m", "50m"),
        (durations("0+100x70", "0+100x20 2020+80x49"), "LatencyBudgetBurn", "20m", "60m"),
        (
            [USERS, *counter("predictor_rejections_total", 'reason="busy"', "0x9 0+6x60")],
            "Rejections",
            "20m",
            "40m",
        ),
        (
            [series("predictor_model_evaluated_timestamp_seconds", POD, f"-{90 * DAY}x200")],
            "ModelOld",
            "50m",
            "62m",
        ),
        (drift(MOVED, 1000), "Drift", "14m", "17m"),
        (
            counter("predictor_feedback_lost_total", 'kind="predictions"', "0x9 1+1x9"),
            "FeedbackLost",
            "8m",
            "12m",
        ),
        (
            counter("predictor_background_task_failures_total", 'task="refresh"', "0x9 1+1x20"),
            "BackgroundTaskFails",
            "9m",
            "20m",
        ),
        ([series(EXPIRY, POD, f"{7 * DAY + 1200}x60")], "CertificateExpires", "30m", "36m"),
        (autoscaler(10, 10), "PodsAtMaximum", "29m", "31m"),
        ([requests("200", "0+60x300", pods=CANARY), *TWO_VERSIONS], "CanaryStuck", "110m", "130m"),
        (rollout("rolled back", 60), "CanaryRolledBack", None, "5m"),
        (rollout("not judged", 60), "CanaryRolledBack", None, "5m"),
        (job("rollout", 1), "RolloutFailed", None, "5m"),
        (job("retraining", 1), "RetrainingFailed", None, "5m"),
        (quality("0x9 1x50"), "QualityLost", "12m", "17m"),
        (cron_job("rollout", "next_schedule_time", "60x60"), "RolloutLate", "15m", "25m"),
        (cron_job("retraining", "next_schedule_time", "60x60"), "RetrainingLate", "15m", "25m"),
        (cron_job("rollout", "status_last_successful_time", "60x60"), "ChampionNotServed", "30m", "40m"),
        (
            [model_series("1", "1x60"), champion("1", "1x9 _x50"), champion("2", "_x9 1x50")],
            "ChampionNotServed",
            "35m",
            "45m",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value[0].isupper() else None,
)
def test_alert_fires_after_its_time(
    rules: Path, tmp_path: Path, given: list[Object], alert: str, silent: str | None, firing: str
) -> None:
    times = {firing: True} | ({silent: False} if silent else {})
    check_alert(rules, tmp_path, given, alert, times)


@needs_promtool
@pytest.mark.parametrize(
    ("given", "alert"),
    [
        ([up_series("1x60"), up_series("0x60", "b")], "Unavailable"),
        ([up_series("0x60")], "Absent"),
        ([series("predictor_ready", f'{POD},pod="{pod}"', f"{pod}x60") for pod in (0, 1)], "NotReady"),
        ([model_series("a", "1x60"), model_series("b", "_x4 1x10")], "VersionsDiffer"),
        pytest.param(
            [USERS, requests("503", "0+60x300", "probe"), requests("500", "0x300")],
            "ErrorBudgetBurn",
            id="probes-fail-while-users-are-served",
        ),
        pytest.param([USERS, requests("400", "0+60x300")], "ErrorBudgetBurn", id="invalid-input"),
        pytest.param(
            [requests("200", "0+1x60"), requests("500", "0x20 1x40")], "ErrorBudgetBurn", id="one-of-few"
        ),
        pytest.param(
            [requests("200", "0+10000x60"), requests("500", "0+1x60")], "ErrorBudgetBurn", id="within-budget"
        ),
        (durations("0+100x60", "0+100x60"), "LatencyBudgetBurn"),
        (durations("0+100x60", "0x60", "probe"), "LatencyBudgetBurn"),
        ([USERS, *counter("predictor_rejections_total", 'reason="busy"', "0+0.3x60")], "Rejections"),
        ([USERS, *counter("predictor_rejections_total", 'reason="forbidden"', "0+60x60")], "Rejections"),
        ([series("predictor_model_evaluated_timestamp_seconds", POD, f"-{80 * DAY}x60")], "ModelOld"),
        (drift(SAME, 1000), "Drift"),
        pytest.param(drift(MOVED, 50), "Drift", id="too-few-rows-for-drift"),
        pytest.param(drift([31, 23, 23, 23], 120, reference_rows=50), "Drift", id="drift-by-chance"),
        (counter("predictor_feedback_lost_total", 'kind="predictions"', "5x60"), "FeedbackLost"),
        (
            counter("predictor_background_task_failures_total", 'task="refresh"', "0x9 1x50"),
            "BackgroundTaskFails",
        ),
        ([series(EXPIRY, POD, f"{30 * DAY}x60")], "CertificateExpires"),
        (autoscaler(9, 10), "PodsAtMaximum"),
        (autoscaler(1, 1), "PodsAtMaximum"),
        pytest.param(rollout("served", 60), "CanaryRolledBack", id="canary-promoted"),
        pytest.param(rollout("rolled back", -3600), "CanaryRolledBack", id="rolled-back-long-ago"),
        ([requests("200", "0+60x60", pods=CANARY), *TWO_VERSIONS], "CanaryStuck"),
        (job("rollout", 0), "RolloutFailed"),
        pytest.param(job("rollout", 1, started=-2 * 3600), "RolloutFailed", id="failed-long-ago"),
        pytest.param(job("other", 1), "RolloutFailed", id="job-of-another"),
        (quality("0x60"), "QualityLost"),
        (cron_job("rollout", "next_schedule_time", "60+60x60"), "RolloutLate"),
        (cron_job("rollout", "status_last_successful_time", "0+60x60"), "ChampionNotServed"),
        ([model_series("1", "1x60"), champion("1")], "ChampionNotServed"),
        pytest.param(
            [model_series("1", "1x20 _x40"), model_series("2", "_x20 1x40"), champion("2")],
            "ChampionNotServed",
            id="champion-served-after-twenty-minutes",
        ),
    ],
)
def test_alert_does_not_fire_on_harmless_series(
    rules: Path, tmp_path: Path, given: list[Object], alert: str
) -> None:
    check_alert(rules, tmp_path, given, alert, dict.fromkeys(("5m", "20m", "40m", "59m"), False))


@needs_promtool
def test_few_requests_that_all_fail_burn_the_budget_and_one_that_resolves_is_silent(
    rules: Path, tmp_path: Path
) -> None:
    failing = requests("500", "0+0.6x40 24x90")
    check_alert(
        rules,
        tmp_path,
        [failing, requests("200", "0x40 0+60x90")],
        "ErrorBudgetBurn",
        {"1m": False, "20m": True, "60m": False},
        severity="critical",
        window="1h",
    )


@needs_promtool
def test_a_slow_burn_is_a_warning_and_pages_nobody(rules: Path, tmp_path: Path) -> None:
    slow = [requests("200", "0+9980x1500"), requests("500", "0+20x1500")]
    check_alert(rules, tmp_path, slow, "ErrorBudgetBurn", {"1500m": False}, severity="critical")
    check_alert(rules, tmp_path, slow, "ErrorBudgetBurn", {"1500m": True}, severity="warning", window="3d")


@needs_promtool
def test_releases_in_one_prometheus_have_alerts_of_their_own(tmp_path: Path) -> None:
    files = [
        write(spec(installation), tmp_path / f"{number}.yaml")
        for number, installation in enumerate(
            (Installation(), Installation("prices", "team"), Installation("other", "team"))
        )
    ]
    pods = 'namespace="team",release="prices-linear-regressor",job="prices-linear-regressor-predictor"'
    given = [requests("500", "0+60x60", pods=pods), USERS, requests("500", "0x60")]
    query = (
        'count by (namespace, release) (ALERTS{alertname="LinearRegressorErrorBudgetBurn",'
        'alertstate="firing",window="1h"})'
    )
    labels = '{namespace="team", release="prices-linear-regressor"}'
    expected = {"expr": query, "eval_time": "30m", "exp_samples": [{"labels": labels, "value": 1}]}
    run(files, tmp_path, given, [expected])


@needs_promtool
def test_the_fleets_index_is_that_of_all_pods_together(rules: Path, tmp_path: Path) -> None:
    given = drift([40, 20, 20, 20], 1000)
    index = "scalar(0.15 * ln(vector(1.6)) - 0.15 * ln(vector(0.8)))"
    query = f"count(abs(release:predictor_drift_index:sum - {index}) < 1e-9)"
    expected = {"expr": query, "eval_time": "20m", "exp_samples": [{"labels": "{}", "value": 1}]}
    run([rules], tmp_path, given, [expected])


def test_windows_of_the_burn_rates_are_recorded() -> None:
    recorded = [rule["record"] for group in spec()["groups"] for rule in group["rules"] if "record" in rule]
    for kind in ("errors", "slow"):
        found = [name.rpartition("ratio_rate")[2] for name in recorded if f"_{kind}:ratio_rate" in name]
        assert found == WINDOWS


def check_alert(
    rules: Path, folder: Path, given: list[Object], alert: str, times: dict[str, bool], **labels: str
) -> None:
    """Check whether an alert fires at some times; series have one value a minute."""
    more = "".join(f',{name}="{value}"' for name, value in labels.items())
    selector = f'alertname="LinearRegressor{alert}",alertstate="firing"{more}'
    query = f"(count(ALERTS{{{selector}}}) > bool 0) or vector(0)"
    expected = [
        {"expr": query, "eval_time": at, "exp_samples": [{"labels": "{}", "value": int(fires)}]}
        for at, fires in times.items()
    ]
    run([rules], folder, given, expected)


def run(rules: list[Path], folder: Path, given: list[Object], expected: list[Object]) -> None:
    test = {"interval": "1m", "input_series": given, "promql_expr_test": expected}
    file = folder / "test.yaml"
    content = {"rule_files": list(map(str, rules)), "evaluation_interval": "1m", "tests": [test]}
    file.write_text(yaml.safe_dump(content))
    promtool("test", "rules", str(file))
