"""Metrics of drift: those of this pod's sample, and the counts by which the samples of all pods add up."""

from collections.abc import Iterator
from dataclasses import asdict

from prometheus_client.core import Metric

from predictor.model.drift import FEWEST_ROWS, LEVEL, THRESHOLD, chi_square_quantile
from predictor.observability.drift import Report
from predictor.observability.families import gauge, gauges

_COLUMN = ("version", "column")
_MOST_BINS = 50
"""A column of more bins, such as one of very many categories, is exported without them."""


def collect(report: Report, version: str) -> Iterator[Metric]:
    """Yield the metrics of a sample."""
    index = gauges("drift_index", "Population stability index of a column.", _COLUMN)
    effective = gauges(
        "drift_effective_rows", "Independent rows that tell as much as those of the sample.", _COLUMN
    )
    moved = gauges("drift_moved", "1 if a column has moved beyond the threshold and chance.", _COLUMN)
    chance = gauges(
        "drift_chance", "What the statistic of a column that has not moved hardly ever exceeds.", _COLUMN
    )
    unusual = gauges("drift_unusual_rows", "Rows of the sample with an unusual value.", (*_COLUMN, "kind"))
    rows = gauges("drift_rows", "Rows of the sample in a bin of the training data.", (*_COLUMN, "bin"))
    share = gauges("drift_reference_share", "Share of the training rows in a bin.", (*_COLUMN, "bin"))
    level = LEVEL / len(report.columns)
    for column in report.columns:
        labels = (version, column.name)
        index.add_metric(labels, column.drift.index)
        effective.add_metric(labels, column.drift.rows)
        moved.add_metric(labels, float(bool(column.moved)))
        bins = column.reference.proportions
        chance.add_metric(labels, chi_square_quantile(max(len(bins) - 1, 1), level))
        for kind, count in asdict(column.unusual).items():
            if count is not None:
                unusual.add_metric((*labels, kind), count)
        if len(bins) <= _MOST_BINS:
            for number, (counted, trained) in enumerate(zip(column.counts.bins, bins, strict=True)):
                rows.add_metric((*labels, str(number)), float(counted))
                share.add_metric((*labels, str(number)), trained)
    yield from (index, effective, moved, chance, unusual, rows, share)
    yield gauge("drift_threshold", "An index above this is large.", THRESHOLD)
    yield gauge("drift_fewest_rows", "Drift is judged from so many effective rows on.", FEWEST_ROWS)
    yield gauge("drift_reference_rows", "Rows of the training data.", report.loaded.model.reference.rows)
