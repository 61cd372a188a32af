"""``python -m tests.fuzz``: at least 100,000 cases against one process, and what became of it.

Each part prints how many cases it ran. It fails at the first 5xx, wrong, malformed or missing answer, when
the process grew, when it does not answer rightly afterwards, or when the cases were fewer than asked for.
"""

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from predictor.model import artifact
from predictor.model.artifact import Column, Distribution, LinearModel, Reference
from tests.fuzz import bodies, parts
from tests.fuzz.client import Client, Fault, Target

GROWTH = 48 * 2**20
"""Bytes that a process may grow between its warm-up and the end."""

# Of 1,000 cases, how many are each part's; the first warms up what the bombs and large bodies need.
SHARES = {
    parts.bombs: 1,
    parts.json_bodies: 260,
    parts.records: 60,
    parts.csv_bodies: 70,
    parts.arrow_bodies: 70,
    parts.tensors: 100,
    parts.encodings: 80,
    parts.malformed: 400,
}
MODELS = ((938.25,), 152.0), ((2.0, 3.0, 5.0), 7.0)


def model(weights: tuple[float, ...], intercept: float) -> LinearModel:
    """A model of the first few features."""
    seen = Distribution(mean=0.0, deviation=0.05, edges=(-0.05, 0.05), proportions=(0.25, 0.5, 0.25))
    names = bodies.NAMES[: len(weights)]
    columns = tuple(Column(name, -0.1, 0.2) for name in names)
    return LinearModel(
        weights,
        intercept,
        columns,
        Column("target", 25.0, 346.0),
        Reference(rows=422, features=dict.fromkeys(names, seen), prediction=seen),
    )


@contextlib.contextmanager
def serving(weights: tuple[float, ...], intercept: float) -> Iterator[Target]:
    """A predictor with limits that the cases can reach."""
    with tempfile.TemporaryDirectory() as place, (Path(place) / "log").open("w+b") as log:
        folder = Path(place) / "7"
        artifact.write(model(weights, intercept), folder)
        port, grpc_port = _free_port(), _free_port()
        settings = {"PREDICTOR_DRAIN_SECONDS": "0", "PREDICTOR_MAX_BODY_BYTES": str(parts.BODY_LIMIT)}
        command = [sys.executable, "-m", "predictor", "--model_dir", str(folder)]
        command += ["--http_port", str(port), "--grpc_port", str(grpc_port)]
        process = subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=log, cwd=parts.ROOT)
        try:
            while not _listens(port):
                if process.poll() is not None:
                    raise Fault("the predictor did not start")
                time.sleep(0.05)
            yield Target(port, process.pid, weights, intercept)
        finally:
            process.terminate()
            process.wait(60)
            log.seek(0)
            for line in [line for line in log.read().decode().splitlines() if '"level":"error"' in line][:20]:
                told = json.loads(line)
                print(f"logged: {told['message']} {told.get('exception', '')[-1500:]}")


def run(target: Target, cases: int, seed: int, only: str | None = None) -> int:
    """Run every part; returns how many cases there were.

    Raises:
        Fault: a wrong answer, growth, or no right answer afterwards.
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
        before = before or _memory(target)
    grown = _memory(target) - before
    print(f"{'memory':>12} {before / 2**20:>6.0f} MiB, and {grown / 2**20:+.0f} MiB")
    if grown > GROWTH:
        raise Fault(f"the process grew by {grown} bytes")
    _answers(target)
    return total


def _answers(target: Target) -> None:
    row = [0.5] * target.width
    client = Client(target)
    answer = client.post("/stream", b'{"instance":%b}' % str(row).encode())
    client.close()
    if answer.body != b'{"prediction":%b}' % str(target.predict(row)).encode():
        raise Fault(f"after all this {answer}")


def _memory(target: Target) -> int:
    pages = int(Path(f"/proc/{target.process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=30):
        return True
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
