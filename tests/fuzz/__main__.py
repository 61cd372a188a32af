"""``python -m tests.fuzz``: send at least 100,000 cases to two predictors.

Each part prints how many cases it ran. Fails at the first 5xx, wrong, malformed or missing answer, when the
process grew, when its answer is wrong afterwards, or when there were fewer cases than asked for.
"""

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Iterator

from tests.fuzz import parts
from tests.fuzz.client import Client, Fault, Target
from tests.support.log import request_lines
from tests.support.models import linear_model
from tests.support.server import start_predictor

GROWTH = 48 * 2**20
"""Bytes that a process may grow between its warm-up and the end."""

# The share of each part in 1,000 cases; the first part makes the process grow to its usual size.
SHARES = {
    parts.bombs: 1,
    parts.json_bodies: 260,
    parts.records: 60,
    parts.csv_bodies: 70,
    parts.arrow_bodies: 70,
    parts.tensors: 100,
    parts.encodings: 80,
    parts.heads: 200,
    parts.malformed: 200,
}
MODELS = ((938.25,), 152.0), ((2.0, 3.0, 5.0), 7.0)


@contextlib.contextmanager
def serving(weights: tuple[float, ...], intercept: float) -> Iterator[Target]:
    """Start a predictor with a limit that the cases can reach; prints the errors that it logged.

    It logs every request. In the end no line may have a value of a client.
    """
    model, settings = linear_model(weights, intercept), {"max_body_bytes": parts.BODY_LIMIT, "log_ratio": 1}
    with start_predictor(model, **settings) as server:
        try:
            yield Target(server, weights, intercept)
        finally:
            server.end()
            request_lines(server.log.read_text(errors="strict"))
            for line in [line for line in server.log.read_text().splitlines() if '"level":"error"' in line][
                :20
            ]:
                entry = json.loads(line)
                print(f"logged: {entry['message']} {entry.get('exception', '')[-1500:]}")


def run(target: Target, cases: int, seed: int, only: str | None = None) -> int:
    """Run every part, or ``only`` one; returns how many cases there were.

    Raises:
        Fault: a wrong answer, or a process that grew.
    """
    total, before = 0, 0
    for part, share in SHARES.items():
        if only not in (None, part.__name__):
            continue
        client, started = Client(target), time.perf_counter()
        part(client, max(1, cases * share // 1000), seed)
        client.close()
        total += client.count
        print(
            f"{part.__name__:>12} {client.count:>8,} cases {time.perf_counter() - started:>6.0f} s",
            flush=True,
        )
        before = before or target.server.memory()
    grown = target.server.memory() - before
    print(f"{'memory':>12} {before / 2**20:>6.0f} MiB, and {grown / 2**20:+.0f} MiB")
    if grown > GROWTH:
        raise Fault(f"the process grew by {grown} bytes")
    _check_answer(target)
    return total


def _check_answer(target: Target) -> None:
    row = [0.5] * target.width
    client = Client(target)
    answer = client.post("/stream", b'{"instance":%b}' % str(row).encode())
    client.close()
    if answer.body != b'{"prediction":%b}' % str(target.predict(row)).encode():
        raise Fault(f"after all cases {answer}")


def main() -> int:
    """Fuzz a server of one feature and one of three, half the cases each."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000, help="how many at the least")
    parser.add_argument("--seed", type=int, default=1, help="which ones")
    parser.add_argument("--examples", type=int, default=60, help="of each operation of the OpenAPI document")
    parser.add_argument("--only", choices=[part.__name__ for part in SHARES], help="one part alone")
    parser.add_argument("--features", type=int, choices=(1, 3), help="only the server of so many")
    options = parser.parse_args()
    total = 0
    chosen = [given for given in MODELS if options.features in (None, len(given[0]))]
    share = options.cases // 2 * 21 // 20  # a search may end before its last example
    for weights, intercept in chosen:
        print(f"{len(weights)} feature{'s' * (len(weights) > 1)}")
        with serving(weights, intercept) as target:
            if options.examples:
                client = Client(target)
                parts.document(client, options.examples, options.seed)
                print(f"{'document':>12} {client.count:>8,} cases")
                total += client.count
            total += run(target, share, options.seed + len(weights), options.only)
    needed = options.cases * len(chosen) // len(MODELS)
    print(f"{'in all':>12} {total:>8,} cases")
    return 0 if total >= needed else 1


if __name__ == "__main__":
    sys.exit(main())
