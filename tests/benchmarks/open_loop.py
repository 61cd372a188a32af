"""An open-loop generator: requests are sent when they are due, and timed from then, whatever the server does.

A closed loop, as wrk's, waits with a slow server, and so leaves out of its times what users would have
waited.
"""

import select
import socket
import time

END = b"}"


def run(port: int, request: bytes, *, rate: float, seconds: float, connections: int) -> list[float]:
    """Send ``rate`` requests a second over some connections; the latencies in seconds.

    A request that is due while all connections are busy waits for the first that is free; its time runs.
    """
    wires = [_connect(port) for _ in range(connections)]
    by_number = {wire.fileno(): wire for wire in wires}
    poll = select.epoll()
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    free, due_of = list(by_number), dict.fromkeys(by_number, 0.0)
    latencies: list[float] = []
    total, sent, start = int(rate * seconds), 0, time.perf_counter()
    while len(latencies) < total:
        now = time.perf_counter()
        while sent < total and free and start + sent / rate <= now:
            number = free.pop()
            due_of[number] = start + sent / rate
            by_number[number].send(request)
            sent += 1
        for number, _ in poll.poll(0):
            answer = by_number[number].recv(65536)
            if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(END):
                raise RuntimeError(f"not a whole right answer: {answer[:200]!r}")
            latencies.append(time.perf_counter() - due_of[number])
            free.append(number)
    for wire in wires:
        wire.close()
    return latencies


def _connect(port: int) -> socket.socket:
    wire = socket.create_connection(("127.0.0.1", port), timeout=30)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return wire
