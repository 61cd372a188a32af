"""What was found when a retraining was judged, as metrics: pushed, since the job ends before any scrape.

The names begin with ``retraining_``. A Pushgateway keeps the last ones for Prometheus.
"""

import math
import sys
import urllib.request
from collections.abc import Iterator

from components.operations.monitor.due import Decision, Policy, Seen, lost_quality

_SECONDS = 10
_CONTENT_TYPE = "text/plain; version=0.0.4"


def push(url: str, text: str) -> None:
    """Replace the metrics of a job, whose name and other labels are in the URL.

    A gateway that can't be reached stops no retraining: that is only said.

    Raises:
        ValueError: the URL is none of HTTP.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url}: expected a URL such as http://pushgateway:9091/metrics/job/retraining")
    request = urllib.request.Request(  # noqa: S310  checked above
        url, text.encode(), {"Content-Type": _CONTENT_TYPE}, method="PUT"
    )
    try:
        urllib.request.urlopen(request, timeout=_SECONDS).close()  # noqa: S310
    except OSError as error:
        print(f"the metrics were not pushed: {url}: {error}", file=sys.stderr, flush=True)


def exposition(seen: Seen, policy: Policy, decision: Decision, now: float) -> str:
    """Write what was seen and decided in the text format of Prometheus.

    Args:
        seen: what was known.
        policy: what makes a retraining due.
        decision: whether one is.
        now: when it was decided, in seconds since 1970.
    """
    return "".join(
        f"# HELP {name} {text}\n# TYPE {name} gauge\n{''.join(_sample(name, *one) for one in samples)}"
        for name, text, samples in _families(seen, policy, decision, now)
    )


_Sample = tuple[str, float]
"""Labels as written, and a value; NaN is left out."""


def _families(
    seen: Seen, policy: Policy, decision: Decision, now: float
) -> Iterator[tuple[str, str, list[_Sample]]]:
    def one(value: float) -> list[_Sample]:
        return [("", float(value))]

    lost, _ = lost_quality(seen, policy)
    yield "retraining_due", "1 if a retraining is due.", one(decision.due)
    yield "retraining_quality_lost", "1 if the error on labels exceeds the held-out error.", one(lost)
    errors = [("live", seen.live), ("held_out", seen.held_out)]
    yield (
        "retraining_mean_squared_error",
        "Error on labels and on held-out rows.",
        [(_label("rows", name), error.mse) for name, error in errors],
    )
    yield (
        "retraining_mean_squared_error_deviation",
        "Standard errors of these.",
        [(_label("rows", name), error.standard_error) for name, error in errors],
    )
    yield (
        "retraining_rows",
        "How many rows these are of.",
        [(_label("rows", name), error.rows) for name, error in errors],
    )
    drift = [(_label("column", name), found.index) for name, found in sorted(seen.drift.items())]
    yield "retraining_drift_index", "Population stability index of what was recorded.", drift
    yield "retraining_judged_timestamp_seconds", "When this was judged.", one(now)


def _label(name: str, value: str) -> str:
    escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'{{{name}="{escaped}"}}'


def _sample(name: str, labels: str, value: float) -> str:
    return f"{name}{labels} {value!r}\n" if math.isfinite(value) else ""
