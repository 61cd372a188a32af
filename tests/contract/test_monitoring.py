"""Rules and dashboards ask for metrics, and for labels, that a predictor has."""

import functools
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from components.operations.monitor.due import Error, Observations, Policy, quality
from components.operations.rollout.decisions import Decisions
from helm import dashboards
from tests.contract.test_tls import Authority
from tests.manifests.rendering import CHART
from tests.support.models import write_evaluation, write_model
from tests.support.processes import wait_until
from tests.support.server import VERSION, start_predictor

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? \S+$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="(?:[^"\\]|\\.)*"')
_METRIC = re.compile(r"(?<![\w:.])((?:predictor|process|kube|release)[\w:]*[_:][\w:]*|up)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r"(\w+)(?:=~|!~|!=|=)")

OF_PROMETHEUS = {"namespace", "release", "job", "pod", "instance"}
"""Labels that a scrape adds."""

OF_KUBERNETES = {
    "kube_cronjob_next_schedule_time": {"cronjob"},
    "kube_cronjob_status_last_successful_time": {"cronjob"},
    "kube_horizontalpodautoscaler_info": {"horizontalpodautoscaler", "scaletargetref_name"},
    "kube_horizontalpodautoscaler_spec_max_replicas": {"horizontalpodautoscaler"},
    "kube_horizontalpodautoscaler_status_current_replicas": {"horizontalpodautoscaler"},
    "kube_job_owner": {"job_name", "owner_kind", "owner_name"},
    "kube_job_status_failed": {"job_name"},
    "kube_job_status_start_time": {"job_name"},
}
"""The metrics of kube-state-metrics that are used, with their labels."""


@functools.cache
def rules() -> list[dict[str, str]]:
    text = (CHART / "files" / "alerts.yaml").read_text()
    return [rule for group in yaml.safe_load(text) for rule in group["rules"]]


def queries() -> dict[str, str]:
    """Return the queries of all panels, by the panels' titles and the legends."""
    return {
        f"{panel.title}: {legend}": query
        for _, panels in dashboards.DASHBOARDS.values()
        for panel in panels
        for legend, query in panel.queries.items()
    }


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The labels of each metric of a predictor with TLS, feedback, an evaluation, decisions, and requests."""
    place = tmp_path_factory.mktemp("monitored")
    model = write_model(place / VERSION)
    write_evaluation(model)
    authority = Authority(place)
    pair = authority.pair("server")
    flags = ("--ssl_certfile", str(pair.certificate), "--ssl_keyfile", str(pair.key))
    settings: Any = {"feedback_url": str(place / "store"), "decisions_dir": str(write_decisions(place))}
    with (
        start_predictor(model, place=place, flags=flags, **settings) as server,
        httpx.Client(base_url=f"https://127.0.0.1:{server.port}", verify=False, timeout=60) as client,
    ):
        client.post("/batch", json={"instances": [0.5, 0.25]}).raise_for_status()

        def text_with_drift() -> str:
            text = client.get("/metrics").text
            return text if "predictor_drift_rows{" in text else ""

        text = wait_until(text_with_drift, what="the sample to be counted")
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name, labels in _SAMPLE.findall(text):
        found[name] |= {*_LABEL.findall(labels or ""), *OF_PROMETHEUS}
    found["predictor_background_task_failures_total"] = {"task", *OF_PROMETHEUS}  # none has failed
    found["up"] = OF_PROMETHEUS
    return {**found, **{name: labels | OF_PROMETHEUS for name, labels in OF_KUBERNETES.items()}}


def write_decisions(place: Path) -> Path:
    """Write what the jobs report, as the mount of their ConfigMap has it; returns the folder."""
    folder = place / "decisions"
    folder.mkdir()

    class ConfigMap:
        """Takes the place of the API server."""

        def patch(self, _path: str, change: dict[str, dict[str, str]]) -> None:
            for name, text in change["data"].items():
                (folder / name).write_text(text)

        def get(self, _path: str) -> dict[str, dict[str, str]]:
            return {}

    decisions = Decisions(ConfigMap(), "ns", "lr", "linear-regressor-rollout", "")  # type: ignore[arg-type]
    decisions.note_change("gate", "promoted", "7", ["better"], champion="7")
    decisions.note("rollout", "served", "7", [])
    error = Error(4.0, 0.2, 300)
    found = quality(Observations(live=error, held_out=error), Policy())
    decisions.note("retraining", "not due", "7", ["no drift"], quality=found)
    return folder


def missing(query: str, known: dict[str, set[str]]) -> list[str]:
    """Return what a query asks for and nothing has: metrics, and labels of them."""
    found = []
    for name, selector in _METRIC.findall(query):
        if name.startswith("release:"):
            found += [] if name in {rule.get("record") for rule in rules()} else [name]
        elif name not in known:
            found.append(name)
        else:
            found += [
                f"{name}{{{label}}}" for label in _MATCHER.findall(selector) if label not in known[name]
            ]
    return found


def test_every_rule_asks_for_what_there_is(scraped: dict[str, set[str]]) -> None:
    for rule in rules():
        assert _METRIC.search(rule["expr"])
        assert missing(rule["expr"], scraped) == [], rule


def test_every_panel_asks_for_what_there_is(scraped: dict[str, set[str]]) -> None:
    for title, query in queries().items():
        assert _METRIC.search(query)
        assert missing(query, scraped) == [], title


def test_every_metric_of_kubernetes_is_used() -> None:
    text = " ".join([*(rule["expr"] for rule in rules()), *queries().values()])
    assert set(re.findall(r"\bkube_\w+", text)) == OF_KUBERNETES.keys()


def test_a_renamed_metric_and_a_label_that_is_none_are_found() -> None:
    known = {"predictor_requests_total": {"code"}}
    assert missing('rate(predictor_requests_total{code="1"}[5m])', known) == []
    assert missing('predictor_requests_total{status="1"}', known) == ["predictor_requests_total{status}"]
    assert missing("sum(predictor_request_total) / release:other:sum", known) == [
        "predictor_request_total",
        "release:other:sum",
    ]


def test_every_panel_chooses_namespace_and_release_and_no_rate_has_a_fixed_interval() -> None:
    for title, query in queries().items():
        assert '"$namespace"' in query, title
        assert "$release" in query, title
        assert not re.search(r"\[\d+[smhd]\]", query), title


def test_files_are_those_of_the_panels() -> None:
    written = {file: file.read_text() for file in dashboards.files()}
    assert written == dashboards.files(), "python helm/dashboards.py writes them"


@pytest.mark.skipif(not shutil.which("promtool"), reason="LEFT OUT: promtool is not on the PATH")
def test_queries_of_all_panels_are_valid(tmp_path: Path) -> None:
    texts = [query.replace("$__rate_interval", "5m") for query in queries().values()]
    group = {
        "name": "panels",
        "rules": [{"record": f"panel{i}", "expr": text} for i, text in enumerate(texts)],
    }
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [group]}))
    done = subprocess.run(
        ["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
