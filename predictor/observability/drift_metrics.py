"""Metrics of drift: those of this pod's sample, and the counts by which the samples of all pods add up.

A wide model has thousands of them. They are written here, in a tenth of the time of ``prometheus_client``.
"""

from collections.abc import Iterator
from dataclasses import asdict

from predictor.model.drift import FEWEST_ROWS, LEVEL, THRESHOLD, chi_square_quantile
from predictor.observability.drift import Report

_MOST_BINS = 50
"""A column of more bins, such as one of very many categories, is exported without them."""

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

_Samples = Iterator[tuple[str, float]]
"""Labels as they are written, and a value."""


def render(report: Report, version: str) -> bytes:
    """Write the metrics of a sample; the text format of Prometheus and OpenMetrics have the same lines."""
    reference_rows = report.loaded.model.reference.rows
    families = (
        ("index", "Population stability index of a column.", _indexes(report)),
        ("effective_rows", "Independent rows that tell as much as those of the sample.", _rows(report)),
        ("moved", "1 if a column has moved beyond the threshold and chance.", _moved(report)),
        ("chance", "What the statistic of a column that has not moved hardly ever exceeds.", _chance(report)),
        ("unusual_rows", "Rows of the sample with an unusual value.", _unusual(report)),
        ("rows", "Rows of the sample in a bin of the training data.", _sample_bins(report)),
        ("reference_share", "Share of the training rows in a bin.", _reference_bins(report)),
        ("threshold", "An index above this is large.", iter([("", THRESHOLD)])),
        ("fewest_rows", "Drift is judged from so many effective rows on.", iter([("", FEWEST_ROWS)])),
        ("reference_rows", "Rows of the training data.", iter([("", reference_rows)])),
    )
    lines = []
    common = f'version="{version.translate(_ESCAPES)}"'
    for short, text, samples in families:
        name = f"predictor_drift_{short}"
        lines.append(f"# HELP {name} {text}\n# TYPE {name} gauge\n")
        lines += [
            f"{name}{{{common},{labels}}} {value}\n" if labels else f"{name} {value}\n"
            for labels, value in samples
        ]
    return "".join(lines).encode()


def _column(name: str) -> str:
    return f'column="{name.translate(_ESCAPES)}"'


def _indexes(report: Report) -> _Samples:
    for column in report.columns:
        yield _column(column.name), column.drift.index


def _rows(report: Report) -> _Samples:
    for column in report.columns:
        yield _column(column.name), column.drift.rows


def _moved(report: Report) -> _Samples:
    for column in report.columns:
        yield _column(column.name), float(bool(column.moved))


def _chance(report: Report) -> _Samples:
    level = LEVEL / len(report.columns)
    for column in report.columns:
        degrees = max(len(column.reference.edges), 1)
        yield _column(column.name), chi_square_quantile(degrees, level)


def _unusual(report: Report) -> _Samples:
    for column in report.columns:
        for kind, count in asdict(column.unusual).items():
            if count is not None:
                yield f'{_column(column.name)},kind="{kind}"', count


def _sample_bins(report: Report) -> _Samples:
    for column in report.columns:
        if len(column.reference.proportions) <= _MOST_BINS:
            label = _column(column.name)
            for number, rows in enumerate(column.counts.bins.tolist()):
                yield f'{label},bin="{number}"', rows


def _reference_bins(report: Report) -> _Samples:
    for column in report.columns:
        if len(column.reference.proportions) <= _MOST_BINS:
            label = _column(column.name)
            for number, share in enumerate(column.reference.proportions):
                yield f'{label},bin="{number}"', share
