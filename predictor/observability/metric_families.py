"""Makes the families of samples that Prometheus reads. All names begin with ``predictor_``."""

from collections.abc import Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

_PREFIX = "predictor_"


def gauge(name: str, text: str, value: float) -> Metric:
    """Return a gauge without labels."""
    return GaugeMetricFamily(f"{_PREFIX}{name}", text, value=value)


def gauges(name: str, text: str, labels: Sequence[str]) -> GaugeMetricFamily:
    """Return a gauge with labels, without samples."""
    return GaugeMetricFamily(f"{_PREFIX}{name}", text, labels=labels)


def info(name: str, text: str, values: Mapping[str, str]) -> Metric:
    """Return a gauge whose value is 1 and whose labels say something."""
    family = gauges(name, text, tuple(values))
    family.add_metric(tuple(values.values()), 1)
    return family


def counter(name: str, text: str, label: str, counts: Mapping[str, float]) -> Metric:
    """Return a counter by a label."""
    family = counters(name, text, (label,))
    for value, count in list(counts.items()):
        family.add_metric((value,), count)
    return family


def counters(name: str, text: str, labels: Sequence[str]) -> CounterMetricFamily:
    """Return a counter with labels, without samples."""
    return CounterMetricFamily(f"{_PREFIX}{name}", text, labels=labels)


def histogram(name: str, text: str, labels: Sequence[str]) -> HistogramMetricFamily:
    """Return a histogram with labels, without samples."""
    return HistogramMetricFamily(f"{_PREFIX}{name}", text, labels=labels)
