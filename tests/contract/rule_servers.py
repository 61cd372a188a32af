"""The servers on which the rules are checked, by their names."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.contract import slow_predictor
from tests.contract.bodies import Wanted
from tests.contract.operations import READINESS, is_ready
from tests.contract.transports import LARGE, TRANSPORTS
from tests.support.processes import wait_until
from tests.support.server import VERSION, Server, api_key_line, start_predictor

ADMIN = "admin-token"
KEYS = ("predict", "explain", "feedback", "admin")
"""API keys, each with the one scope that it is named after."""
MAX_ROWS = 100
MAX_BYTES = 2**16
MEMORY = 4 * MAX_BYTES
"""Limits of the open server: rows of a request, bytes of a body, and bytes of all bodies."""
_INLINE = LARGE // 2


def start_open(place: Path) -> AbstractContextManager[Server]:
    """Start a server that needs no credentials; its administrator has a token."""
    return start_predictor(
        place=place,
        flags=("--grpc_max_receive_message_length", str(MAX_BYTES)),
        max_rows=MAX_ROWS,
        max_body_bytes=MAX_BYTES,
        max_memory_bytes=MEMORY,
        admin_token=ADMIN,
        inline_bytes=_INLINE,
        read_seconds=600,
    )


def start_slow(place: Path) -> AbstractContextManager[Server]:
    """Start a server whose thread can be made to wait; nobody can be its administrator."""
    launcher = (sys.executable, slow_predictor.__file__, str(place / "thread"))
    return start_predictor(place=place, launcher=launcher, queue=1, answer_seconds=0.1, inline_bytes=_INLINE)


@contextmanager
def waiting(slow: Server) -> Iterator[Path]:
    """Have the thread of a slow server wait until the end or the removal of the yielded file."""
    file = slow.log.parent / "thread"
    file.with_suffix(".waits").unlink(missing_ok=True)
    file.touch()
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)
        wait_until(lambda: _answers_large(slow), what="the thread to be free")


@contextmanager
def full_queue(slow: Server) -> Iterator[None]:
    """Have a request in the thread of the slow server, and one in its queue, for as long as wanted."""
    waits = slow.log.parent / "thread.waits"
    with waiting(slow):
        wait_until(lambda: not _answers_large(slow) and waits.exists(), what="the thread to wait")
        assert not _answers_large(slow)
        yield


def _answers_large(server: Server) -> bool:
    transport = next(found for found in TRANSPORTS if found.name == "large batch")
    return transport.send(server, Wanted()).outcome == transport.outcome(None)


def start_guarded(place: Path) -> AbstractContextManager[Server]:
    """Start a server that requires API keys, and records predictions in the folder ``store``."""
    keys = place / "keys"
    keys.write_text("".join(api_key_line(scope, f"{scope}-client", scope) for scope in KEYS))
    return start_predictor(
        place=place,
        auth="required",
        api_keys=keys,
        feedback_url=place / "store",
        feedback_seconds=0.001,
        inline_bytes=_INLINE,
    )


def start_empty(place: Path) -> AbstractContextManager[Server]:
    """Start a server that finds no model."""
    return start_predictor(place / "missing" / VERSION, place=place)


@contextmanager
def start_draining(place: Path) -> Iterator[Server]:
    """Start a server that is ending, but still answers."""
    with start_predictor(place=place, drain_seconds=86_400) as running:
        running.process.terminate()
        probe = READINESS["V2 server"]
        wait_until(lambda: not is_ready(*probe.call(running, "")), what="the server to be ending")
        yield running


STARTERS: Mapping[str, Callable[[Path], AbstractContextManager[Server]]] = {
    "open": start_open,
    "slow": start_slow,
    "guarded": start_guarded,
    "empty": start_empty,
    "draining": start_draining,
}
