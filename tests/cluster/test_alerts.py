"""Alerts fire and resolve on a cluster with Prometheus, and ordinary traffic leaves all of them silent."""

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from components.operations.rollout.api import connect
from components.operations.rollout.decisions import Decisions
from tests.cluster.installers import NAME, NAMESPACE, Installer, Settings
from tests.cluster.kube import get, kubectl, wait_for
from tests.cluster.prometheus import RELOAD_SECONDS, query, require
from tests.cluster.resources import inject_faults
from tests.cluster.service import Service

HERE = f'namespace="{NAMESPACE}",release="{NAME}"'
# What the rules call an hour takes a minute here. Prometheus looks every five seconds.
WINDOWS = {
    "5m": "20s",
    "15m": "30s",
    "30m": "40s",
    "1h": "60s",
    "2h": "70s",
    "6h": "80s",
    "1d": "90s",
    "3d": "100s",
}
LONGEST = 100


@pytest.fixture(scope="module", autouse=True)
def prometheus(namespace: str) -> None:
    """Skip the tests on a cluster without the Prometheus operator."""
    require("servicemonitors.monitoring.coreos.com", "prometheusrules.monitoring.coreos.com")


@pytest.fixture(scope="module")
def watched(image: str, installer: Installer, service: Service) -> Iterator[Settings]:
    """An installation that Prometheus watches, whose requests fail if they ask for it."""
    settings = Settings(image, monitoring=True)
    installer.apply(settings)
    service.wait_for_version("1", pods=2)
    try:
        inject_faults(NAMESPACE, NAME)
        service.restart("faults")
        _hurry()
        _wait_for_silence(service)
        yield settings
    finally:
        kubectl("-n", NAMESPACE, "delete", "configmap", "faults", "--ignore-not-found")


def _wait_for_silence(service: Service) -> None:
    """Wait until Prometheus has the pods and the rules, and failures of an earlier installation are past."""
    pods = {pod["metadata"]["name"] for pod in service.pods()}
    ready = f"predictor_ready{{{HERE}}} == 1"
    wait_for(
        "the pods' metrics", lambda: {labels["pod"] for labels, _ in query(ready)} == pods, RELOAD_SECONDS
    )
    rate = f"count(release:predictor_errors:ratio_rate3d{{{HERE}}})"
    with traffic(service, ordinary()):
        wait_for("the rules", lambda: query(rate), RELOAD_SECONDS)
        wait_for("silence", lambda: not firing(), 2 * LONGEST)


def _hurry() -> None:
    """Let Prometheus look every five seconds, and shorten the windows and the patience of the rules."""
    endpoint = {"op": "replace", "path": "/spec/endpoints/0/interval", "value": "5s"}
    kubectl("-n", NAMESPACE, "patch", "servicemonitor", NAME, "--type=json", "-p", json.dumps([endpoint]))
    groups = get("-n", NAMESPACE, "prometheusrule", NAME)["spec"]["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        rule["expr"] = re.sub(r"\[(\w+)\]", lambda match: f"[{WINDOWS[match[1]]}]", rule["expr"])
        if "for" in rule:
            rule["for"] = re.sub(r"^(\d+)m$", r"\1s", rule["for"]).replace("h", "m")
    patch = json.dumps({"spec": {"groups": groups}})
    kubectl("-n", NAMESPACE, "patch", "prometheusrule", NAME, "--type=merge", "-p", patch)


def ordinary() -> Sequence[float]:
    """Return values of the input as those that the model was trained on."""
    values: Sequence[float] = load_diabetes(as_frame=True).frame["bmi"].tolist()
    return values


@contextmanager
def traffic(service: Service, values: Sequence[float], failing: float = 0.0) -> Iterator[None]:
    """Send requests while the ``with`` block runs, a share of which fails."""
    random, ended = np.random.RandomState(1), Event()

    def send() -> None:
        while not ended.wait(0.01):
            fields = {"x-request-id": "fail"} if random.random_sample() < failing else {}
            response = service.request("POST", "/stream", {"instance": random.choice(values)}, fields=fields)
            assert response.status == (503 if fields else 200), response.content

    thread = Thread(target=send)
    thread.start()
    try:
        yield
        assert thread.is_alive(), "a request was answered otherwise than expected"
    finally:
        ended.set()
        thread.join()


def firing(alert: str = "", **labels: str) -> list[dict[str, str]]:
    """Return the labels of the installation's alerts that fire now, all or of one name."""
    more = "".join(f',{name}="{value}"' for name, value in labels.items())
    name = f',alertname="LinearRegressor{alert}"' if alert else ""
    found = query(f'ALERTS{{namespace="{NAMESPACE}",alertstate="firing"{name}{more}}}')
    return [labels for labels, _ in found]


def test_ordinary_traffic_leaves_all_alerts_silent(watched: Settings, service: Service) -> None:
    judged = f"min(release:predictor_drift_effective_rows:sum{{{HERE}}}) >= 300"
    with traffic(service, ordinary()):
        wait_for("rows by which drift is judged", lambda: query(judged), 300)
        end = time.monotonic() + LONGEST
        while time.monotonic() < end:
            assert firing() == []
            time.sleep(5)
    assert query(
        f'sum(increase(predictor_requests_total{{{HERE},endpoint="stream",traffic="user"}}[1m])) > 100'
    )


def test_failing_requests_fire_the_fast_burn_which_resolves_when_they_end(
    watched: Settings, service: Service
) -> None:
    with traffic(service, ordinary(), failing=0.5):
        (alert,) = wait_for("the alert", lambda: firing("ErrorBudgetBurn", window="1h"), 120)
    assert (alert["severity"], alert["release"]) == ("critical", NAME)
    with traffic(service, ordinary()):
        wait_for("its end", lambda: not firing("ErrorBudgetBurn", window="1h"), 120)
        wait_for("silence", lambda: not firing(), 2 * LONGEST)


def test_moved_inputs_fire_drift(watched: Settings, service: Service) -> None:
    values = np.asarray(ordinary())
    moved = (values + 3 * values.std()).tolist()
    with traffic(service, moved):
        found = wait_for("the alert", lambda: firing("Drift", column="bmi"), 300)
    assert {alert["release"] for alert in found} == {NAME}
    assert firing("ErrorBudgetBurn") == []


def test_decisions_of_jobs_reach_the_alerts_and_outlive_an_upgrade(
    watched: Settings, installer: Installer
) -> None:
    decisions = Decisions(connect(), NAMESPACE, NAME, "linear-regressor-rollout", "a test")
    decisions.note("gate", "promoted", "2", ["better"], champion="2")
    decisions.note("rollout", "rolled back", "2", ["faulty"])
    decisions.note("retraining", "due", "1", ["worse"], quality={"lost": True})
    # The kubelet brings a change to the pods within a minute or two.
    for alert, version in (("CanaryRolledBack", "2"), ("QualityLost", None), ("ChampionNotServed", "2")):
        found = wait_for(alert, lambda alert=alert: firing(alert), 240)  # type: ignore[misc]
        assert {one.get("version") for one in found} == {version}
    decisions.note("gate", "promoted", "2", ["better"], champion="1")
    decisions.note("rollout", "served", "1", [])
    decisions.note("retraining", "not due", "1", ["as good"], quality={"lost": False})
    wait_for("their end", lambda: not {one["alertname"] for one in firing()} - {"LinearRegressorDrift"}, 300)
    decisions.event("CandidatePromoted", "version 2: better")
    events = get("-n", NAMESPACE, "events", "--field-selector", f"involvedObject.name={NAME}")["items"]
    assert ("CandidatePromoted", "version 2: better") in [(one["reason"], one["message"]) for one in events]
    installer.apply(watched)
    data = get("-n", NAMESPACE, "configmap", f"{NAME}-decisions")["data"]
    assert json.loads(data["rollout.json"])["outcome"] == "served"
