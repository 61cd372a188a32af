"""The last decisions of gate, rollout and retraining, as metrics.

Jobs decide, and end before a scrape. They write each decision to an entry of a ConfigMap, which is mounted
here as a folder with a JSON file for each kind (``components/operations/rollout/decisions.py`` writes them).
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prometheus_client.core import Metric

from predictor.observability.metric_families import gauge, gauges, info

KINDS = ("gate", "rollout", "retraining")
_ERRORS = {
    "mean_squared_error": "Mean squared error on labels and on held-out rows, when a retraining was judged.",
    "standard_error": "Standard error of these.",
    "rows": "How many rows these are of.",
}


def collect(folder: Path | None) -> Iterator[Metric]:
    """Yield what the files of a folder say; a file that is missing or can't be understood says nothing."""
    found = {kind: entry for kind in KINDS if folder and (entry := _read(folder / f"{kind}.json"))}
    if not found:
        return
    decision = gauges("decision_info", "The last decision of each kind.", ("decision", "outcome", "version"))
    times = gauges("decision_timestamp_seconds", "When it was made.", ("decision",))
    for kind, entry in found.items():
        decision.add_metric((kind, str(entry.get("outcome", "")), str(entry.get("version", ""))), 1)
        times.add_metric((kind,), _number(entry.get("at")))
    yield from (decision, times)
    if champion := found.get("gate", {}).get("champion"):
        yield info("registry_champion_info", "The registry's champion.", {"version": str(champion)})
    quality = found.get("retraining", {}).get("quality")
    if isinstance(quality, dict):
        yield from _quality(quality)


def _quality(quality: Mapping[str, Any]) -> Iterator[Metric]:
    yield gauge(
        "quality_lost", "1 if the error on labels exceeds the held-out error.", _number(quality.get("lost"))
    )
    for name, text in _ERRORS.items():
        family = gauges(f"quality_{name}", text, ("rows",))
        for rows in ("live", "held_out"):
            error = quality.get(rows)
            if isinstance(error, dict) and math.isfinite(value := _number(error.get(name))):
                family.add_metric((rows,), value)
        yield family


def _read(file: Path) -> dict[str, Any]:
    try:
        entry = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return entry if isinstance(entry, dict) else {}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
