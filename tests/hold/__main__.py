"""``python -m tests.hold [ending | connections | bodies | probes | worst]``: checks that repeat or are large.

Prints what it measured, and exits non-zero where a request was lost or a bound was exceeded.
"""

import argparse
import contextlib
import resource
import sys

from tests.hold.balancer import REQUEST, Balancer, is_right
from tests.hold.large import MEMORY, bodies, probes, start
from tests.hold.worst import worst
from tests.support.http import head
from tests.support.processes import wait_until

PARTS = ("ending", "connections", "bodies", "probes", "worst")


def ending(rounds: int, stack: contextlib.ExitStack) -> bool:
    """Replace a server under load, again and again; returns whether no request was lost."""
    old = start(stack, drain_seconds=5)
    balancer = Balancer(old.port)
    stack.callback(balancer.stop)
    codes = []
    for i in range(rounds):
        new = start(stack, drain_seconds=5)
        balancer.add(new.port)
        wait_until(lambda: balancer.answered[new.port] >= 200 or balancer.lost, what="the new server")  # noqa: B023
        codes.append(old.end())
        balancer.remove(old.port)
        old = new
        total = sum(balancer.answered.values())
        print(f"round {i + 1}: {total:,} requests, {len(balancer.lost)} lost", flush=True)
    balancer.stop()
    old.end()
    total = sum(balancer.answered.values())
    print(f"ending: {rounds} rounds, {total:,} requests, {len(balancer.lost)} lost, exit codes {set(codes)}")
    for lost in balancer.lost[:10]:
        print(lost)
    return not balancer.lost and set(codes) == {0}


def connections(count: int, stack: contextlib.ExitStack) -> bool:
    """Open many connections, use each twice, and leave it with half a request; returns whether that held."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    count = min(count, most - 1000)
    server = start(stack)
    idle, growth, right = server.memory(), 0, 0
    opened = [server.connect() for _ in range(count)]
    for request in (REQUEST, head("/stream/0.5", method="GET")):
        for connection in opened:
            right += is_right(connection, request)
        growth = max(growth, server.memory() - idle)
    for connection in opened:
        connection.send(b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 100)
    with server.connect() as other:
        alive = is_right(other)
    growth = max(growth, server.memory() - idle)
    for connection in opened:
        connection.close()
    server.end()
    memory = f"{idle / 2**20:.0f} {growth / 2**20:+.0f} MiB"
    print(f"connections: {count:,}, {right:,} right answers, memory {memory}")
    return alive and right == 2 * count and growth < MEMORY


def main() -> int:
    """Run the named parts, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.hold", description=__doc__)
    parser.add_argument("part", nargs="*", default=PARTS)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument(
        "--processor-time", action="store_true", help="judge the worst forms by the server's processor time"
    )
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        held = [ending(options.rounds, stack)] if "ending" in options.part else []
        held += [connections(options.connections, stack)] if "connections" in options.part else []
        held += [bodies(stack)] if "bodies" in options.part else []
        held += [probes(stack)] if "probes" in options.part else []
        held += [worst(stack, processor_time=options.processor_time)] if "worst" in options.part else []
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
