"""Metrics of drift: those of this pod's sample, and the counts by which the samples of all pods add up.

A wide model has thousands of them. They are written here, in a tenth of the time of ``prometheus_client``.
"""

from collections.abc import Mapping, Sequence

from predictor.model.drift import FEWEST_ROWS, LEVEL, THRESHOLD, chi_square_quantile
from predictor.observability.drift import Column, Report

_FAMILIES = {
    "index": "Population stability index of a column.",
    "effective_rows": "Independent rows that tell as much as those of the sample.",
    "moved": "1 if a column has moved beyond the threshold and chance.",
    "chance": "What the statistic of a column that has not moved hardly ever exceeds.",
    "unusual_rows": "Rows of the sample with an unusual value.",
    "rows": "Rows of the sample in a bin of the training data.",
    "reference_share": "Share of the training rows in a bin.",
    "threshold": "An index above this is large.",
    "fewest_rows": "Drift is judged from so many effective rows on.",
    "reference_rows": "Rows of the training data.",
}
_MOST_BINS = 50
"""A column of more bins, such as one of very many categories, is exported without them."""

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def render(report: Report, version: str) -> bytes:
    """Write the metrics of a sample; the text format of Prometheus and OpenMetrics have the same lines."""
    rows, level = report.loaded.model.reference.rows, LEVEL / len(report.columns)
    found: dict[str, dict[str, Mapping[str, float]]] = {
        "": {"threshold": {"": THRESHOLD}, "fewest_rows": {"": FEWEST_ROWS}, "reference_rows": {"": rows}}
    }
    for column in report.columns:
        labels = f'version="{version.translate(_ESCAPES)}",column="{column.name.translate(_ESCAPES)}"'
        found[labels] = _families(column, level)
    lines = []
    for short, text in _FAMILIES.items():
        name = f"predictor_drift_{short}"
        lines.append(f"# HELP {name} {text}\n# TYPE {name} gauge\n")
        for labels, families in found.items():
            for label, value in families.get(short, {}).items():
                lines.append(f"{name}{{{labels}{label}}} {value}\n" if labels else f"{name} {value}\n")
    return "".join(lines).encode()


def _families(column: Column, level: float) -> dict[str, Mapping[str, float]]:
    """Return the values of a column by the family, and by the label that they have beside the column's."""
    degrees, unusual = max(len(column.reference.edges), 1), column.sample.unusual
    return {
        "index": {"": column.drift.index},
        "effective_rows": {"": column.drift.rows},
        "moved": {"": float(bool(column.moved))},
        "chance": {"": chi_square_quantile(degrees, level)},
        "unusual_rows": {f',kind="{kind}"': count for kind, count in unusual.items()},
        "rows": _by_bin(column.sample.counts.bins.tolist()),
        "reference_share": _by_bin(column.reference.proportions),
    }


def _by_bin(values: Sequence[float]) -> dict[str, float]:
    few = values if len(values) <= _MOST_BINS else ()
    return {f',bin="{number}"': value for number, value in enumerate(few)}
