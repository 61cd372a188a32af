"""``python -m tests.hold [ending | connections | bodies | probes]``: what is shown often or on a large scale.

Prints what it saw, and exits non-zero where a request was lost or a bound was broken.
"""

import argparse
import contextlib
import resource
import socket
import sys
import time

from tests.hold.balancer import REQUEST, Balancer, is_right
from tests.hold.large import bodies, probes
from tests.hold.process import MEMORY, Predictor

PARTS = ("ending", "connections", "bodies", "probes")


def ending(rounds: int, stack: contextlib.ExitStack) -> bool:
    """Replace one of two servers under load, again and again; tells whether no request was lost."""
    staying = Predictor(stack, drain_seconds="5")
    balancer = Balancer(staying.port)
    stack.callback(balancer.stop)
    codes = []
    for i in range(rounds):
        coming = Predictor(stack, drain_seconds="5")
        balancer.add(coming.port)
        while balancer.answered[coming.port] < 200 and not balancer.lost:
            time.sleep(0.01)
        codes.append(staying.end())
        balancer.remove(staying.port)
        staying = coming
        total = sum(balancer.answered.values())
        print(f"round {i + 1}: {total:,} requests, {len(balancer.lost)} lost", flush=True)
    balancer.stop()
    staying.end()
    total = sum(balancer.answered.values())
    print(f"ending: {rounds} rounds, {total:,} requests, {len(balancer.lost)} lost, exit codes {set(codes)}")
    for lost in balancer.lost[:10]:
        print(lost)
    return not balancer.lost and set(codes) == {0}


def connections(count: int, stack: contextlib.ExitStack) -> bool:
    """Keep many connections, each used both ways and then stuck in a head, within the bound on memory."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    count = min(count, most - 1000)
    server = Predictor(stack, drain_seconds="0")
    idle, seen, right = server.memory(), 0, 0
    wires = [socket.create_connection(("127.0.0.1", server.port), timeout=60) for _ in range(count)]
    for request in (REQUEST, b"GET /stream/0.5 HTTP/1.1\r\nhost: x\r\n\r\n"):
        for wire in wires:
            right += is_right(wire, request)
        seen = max(seen, server.memory() - idle)
    for wire in wires:
        wire.sendall(b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 100)
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as other:
        alive = is_right(other)
    seen = max(seen, server.memory() - idle)
    for wire in wires:
        wire.close()
    server.end()
    grown = f"{idle / 2**20:.0f} {seen / 2**20:+.0f} MiB"
    print(f"connections: {count:,}, {right:,} right answers, memory {grown}")
    return alive and right == 2 * count and seen < MEMORY


def main() -> int:
    """Run what is named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.hold", description=__doc__)
    parser.add_argument("part", nargs="*", default=PARTS)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--connections", type=int, default=10_000)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        held = [ending(options.rounds, stack)] if "ending" in options.part else []
        held += [connections(options.connections, stack)] if "connections" in options.part else []
        held += [bodies(stack)] if "bodies" in options.part else []
        held += [probes(stack)] if "probes" in options.part else []
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
