"""Writes the dashboards of the chart and of the manifests: ``python helm/dashboards.py``.

The files have placeholders for the names of an installation, which are only in the titles and in the defaults
of the variables. Every query chooses by the variables ``namespace`` and ``release``.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
CHART = ROOT / "helm" / "linear-regressor" / "files" / "dashboards"
MANIFESTS = ROOT / "manifests" / "components" / "monitoring"
NAME = "linear-regressor"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
HERE = 'namespace="$namespace",release="$release"'
JOBS = 'namespace="$namespace"'
_COLUMNS, _WIDTH, _HEIGHT = 3, 8, 8


class Panel(NamedTuple):
    """A panel: its title, the unit of its values, and queries by the legends of their lines."""

    title: str
    unit: str
    queries: dict[str, str]
    type: str = "timeseries"


def _rate(metric: str, by: str, more: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{{{HERE}{more}}}[$__rate_interval]))"


def _quantile(level: float, more: str = "") -> str:
    buckets = _rate("predictor_request_duration_seconds_bucket", "le", f',traffic="user"{more}')
    return f"histogram_quantile({level}, {buckets})"


def _sum(metric: str, by: str, more: str = "") -> str:
    return f"sum by ({by}) ({metric}{{{HERE}{more}}})"


def _once(metric: str, by: str) -> str:
    """Every pod has what the jobs decided."""
    return f"max by ({by}) ({metric}{{{HERE}}})"


_USERS = ',traffic="user"'

SERVICE = [
    Panel("Requests of users, by endpoint", "reqps", {
        "{{endpoint}} {{transport}}": _rate("predictor_requests_total", "endpoint, transport", _USERS)
    }),
    Panel("Responses to users, by status", "reqps", {
        "{{code}}": _rate("predictor_requests_total", "code", _USERS)
    }),
    Panel("Time to respond", "s", {"p50": _quantile(0.5), "p95": _quantile(0.95), "p99": _quantile(0.99)}),
    Panel("Share that failed", "percentunit", {
        "5 min": f"release:predictor_errors:ratio_rate5m{{{HERE}}}",
        "1 h": f"release:predictor_errors:ratio_rate1h{{{HERE}}}",
        "1 d": f"release:predictor_errors:ratio_rate1d{{{HERE}}}",
    }),
    Panel("Share that took longer than 0.1 s", "percentunit", {
        "5 min": f"release:predictor_slow:ratio_rate5m{{{HERE}}}",
        "1 h": f"release:predictor_slow:ratio_rate1h{{{HERE}}}",
        "1 d": f"release:predictor_slow:ratio_rate1d{{{HERE}}}",
    }),
    Panel("Predicted rows", "short", {"rows/s": _rate("predictor_request_rows_sum", "release")}),
    Panel("Refused, by reason", "reqps", {"{{reason}}": _rate("predictor_rejections_total", "reason")}),
    Panel("Invalid input, by kind", "reqps", {"{{kind}}": _rate("predictor_invalid_input_total", "kind")}),
    Panel("Requests in progress", "short", {
        "{{pod}}": _sum("predictor_requests_in_progress", "pod"),
        "{{pod}} in the queue": _sum("predictor_queue_requests", "pod"),
    }),
    Panel("Memory of bodies, of what is allowed", "percentunit", {
        "{{pod}}": f"predictor_body_memory_bytes{{{HERE}}} / predictor_body_memory_limit_bytes"
    }),
    Panel("Processor time", "short", {"{{pod}}": _rate("process_cpu_seconds_total", "pod")}),
    Panel("Resident memory", "bytes", {"{{pod}}": _sum("process_resident_memory_bytes", "pod")}),
]  # fmt: skip

MODEL = [
    Panel("Pods, by version", "short", {
        "{{job}} {{version}}": f"count by (job, version) (predictor_model_info{{{HERE}}})"
    }),
    Panel("Age of the model", "s", {
        "{{version}}": f"time() - max by (job) (predictor_model_evaluated_timestamp_seconds{{{HERE}}})"
    }),
    Panel("Time to load the model", "s", {"{{pod}}": _sum("predictor_model_load_duration_seconds", "pod")}),
    Panel("Drift of all pods, by column", "short", {
        "{{version}} {{column}}": f"release:predictor_drift_index:sum{{{HERE}}} "
        "and release:predictor_drift_effective_rows:sum "
        ">= on (namespace, release) group_left () max by (namespace, release) (predictor_drift_fewest_rows)",
        "threshold": f"max(predictor_drift_threshold{{{HERE}}})",
    }),
    Panel("Independent rows in the sample", "short", {
        "{{version}} {{column}}": f"release:predictor_drift_effective_rows:sum{{{HERE}}}"
    }),
    Panel("Unusual values in the sample", "short", {
        "{{column}} {{kind}}": _sum("predictor_drift_unusual_rows", "column, kind")
    }),
    Panel("Mean squared error, with its interval of 95 %", "short", {
        "{{rows}}": _once("predictor_quality_mean_squared_error", "rows"),
        "{{rows}}, lower": f"{_once('predictor_quality_mean_squared_error', 'rows')} "
        f"- 1.96 * {_once('predictor_quality_standard_error', 'rows')}",
        "{{rows}}, upper": f"{_once('predictor_quality_mean_squared_error', 'rows')} "
        f"+ 1.96 * {_once('predictor_quality_standard_error', 'rows')}",
    }),
    Panel("Recorded for feedback", "reqps", {"{{kind}}": _rate("predictor_feedback_recorded_total", "kind")}),
    Panel("Lost, and failed attempts to store", "reqps", {
        "{{kind}} lost": _rate("predictor_feedback_lost_total", "kind"),
        "{{kind}} failed": _rate("predictor_feedback_store_failures_total", "kind"),
    }),
    Panel("Waiting for the store", "bytes", {"{{kind}}": _sum("predictor_feedback_waiting_bytes", "kind")}),
]  # fmt: skip

ROLLOUTS = [
    Panel("Requests of users, by version", "reqps", {
        "{{version}}": _rate("predictor_requests_total", "version", _USERS)
    }),
    Panel("Share that failed, by version", "percentunit", {
        "{{version}}": _rate("predictor_requests_total", "version", f'{_USERS},code=~"5.."')
        + " / " + _rate("predictor_requests_total", "version", _USERS)
    }),
    Panel("Ready pods, by version", "short", {
        "{{job}} {{version}}": f"sum by (job, version) (predictor_ready{{{HERE}}} * on (namespace, pod) "
        "group_left (version) max by (namespace, pod, version) (predictor_model_info))"
    }),
    Panel("Since the last decisions", "s", {
        "{{decision}}: {{outcome}} {{version}}": "time() - max by (decision) ("
        f"predictor_decision_timestamp_seconds{{{HERE}}}) * on (decision) group_right () "
        + _once("predictor_decision_info", "decision, outcome, version")
    }),
    Panel("Champion of the registry, and what is served", "short", {
        "champion {{version}}": _once("predictor_registry_champion_info", "version"),
        "{{job}} {{version}}": f"count by (job, version) (predictor_model_info{{{HERE}}})",
    }),
    Panel("Since the last job that succeeded", "s", {
        "{{cronjob}}": "time() - max by (cronjob) (kube_cronjob_status_last_successful_time"
        f'{{{JOBS},cronjob=~"$release-(rollout|retraining)"}})'
    }),
    Panel("Failed jobs", "short", {
        "{{owner_name}}": "sum by (owner_name) ("
        f'kube_job_owner{{{JOBS},owner_name=~"$release-(rollout|retraining)"}} '
        "* on (namespace, job_name) group_left () sum by (namespace, job_name) (kube_job_status_failed))"
    }),
    Panel("Pods, and how many are allowed", "short", {
        "{{horizontalpodautoscaler}}": "kube_horizontalpodautoscaler_status_current_replicas"
        f'{{{JOBS},horizontalpodautoscaler=~"(keda-hpa-)?$release(-canary)?"}}',
        "allowed": "kube_horizontalpodautoscaler_spec_max_replicas"
        f'{{{JOBS},horizontalpodautoscaler=~"(keda-hpa-)?$release(-canary)?"}}',
    }),
    Panel("Background tasks that failed", "short", {
        "{{task}}": "sum by (task) (increase("
        f"predictor_background_task_failures_total{{{HERE}}}[$__rate_interval]))"
    }),
    Panel("Builds", "short", {
        "{{version}} on Python {{python}}": f"count by (version, python) (predictor_build_info{{{HERE}}})"
    }),
    Panel("Until the certificate expires", "s", {
        "{{pod}}": f"predictor_certificate_expiry_timestamp_seconds{{{HERE}}} - time()"
    }),
]  # fmt: skip

DASHBOARDS = {
    "service": ("service", SERVICE),
    "model": ("model and data", MODEL),
    "rollouts": ("pipeline and rollouts", ROLLOUTS),
}


def dashboard(topic: str, panels: list[Panel], name: str, namespace: str) -> str:
    """Return a dashboard as JSON, for an installation."""
    document = {
        "title": f"Model service · {name} · {namespace} · {topic}",
        "schemaVersion": 39,
        "tags": ["kserve", NAME],
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": _variables()},
        "panels": [_panel(i, panel) for i, panel in enumerate(panels)],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _variables() -> list[dict[str, Any]]:
    def query(name: str, label: str, text: str) -> dict[str, Any]:
        return {
            "name": name,
            "label": label,
            "type": "query",
            "datasource": SOURCE,
            "query": text,
            "refresh": 2,
        }

    return [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
        query("namespace", "Namespace", "label_values(predictor_build_info, namespace)"),
        query("release", "Release", 'label_values(predictor_build_info{namespace="$namespace"}, release)'),
    ]


def _panel(i: int, panel: Panel) -> dict[str, Any]:
    place = {"x": i % _COLUMNS * _WIDTH, "y": i // _COLUMNS * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
    return {
        "id": i + 1,
        "title": panel.title,
        "type": panel.type,
        "gridPos": place,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + number), "expr": text, "legendFormat": legend}
            for number, (legend, text) in enumerate(panel.queries.items())
        ],
    }


def files() -> dict[Path, str]:
    """Return the content of every file."""
    found = {}
    for key, (topic, panels) in DASHBOARDS.items():
        found[CHART / f"{key}.json"] = dashboard(topic, panels, "RELEASE", "NAMESPACE")
        found[MANIFESTS / f"{NAME}-{NAME}-{key}.json"] = dashboard(topic, panels, NAME, NAME)
    return found


if __name__ == "__main__":
    for file, content in files().items():
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
