"""The rows of the event loop and the interpreter's lock: what is measured, and which of it counts."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.benchmarks import loop
from tests.benchmarks.loop_clock import Longest, LoopClock
from tests.support.worst import FORMS, Form
from tests.support.worst.form import fill


def test_clock_has_the_longest_callback_since_the_last_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = LoopClock.create(tmp_path / "loop")
    handle = asyncio.events.Handle
    monkeypatch.setattr(handle, "_run", LoopClock(tmp_path / "loop").measured(handle._run))

    def work(seconds: float) -> None:
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            pass

    async def serve() -> None:
        for seconds in (0.001, 0.005, 0.002):
            asyncio.get_running_loop().call_soon(work, seconds)
        await asyncio.sleep(0.03)

    asyncio.run(serve())
    seconds, callback = clock.take()
    assert 0.005 <= seconds < 0.5
    assert "work" in callback
    assert clock.take() == Longest(0.0, "")


def test_best_of_several_tries_counts_until_one_is_allowed() -> None:
    def best_of(*seconds: float) -> tuple[float, int]:
        tries = iter(seconds)
        found = loop.best(lambda: Longest(next(tries), ""))
        return found.seconds, len(list(tries))

    assert best_of(0.01, 0.001) == (0.01, 1)
    assert best_of(0.03, 0.009, 0.001) == (0.009, 1)
    assert best_of(0.05, 0.03, 0.02, 0.04, 0.06, 0.001) == (0.02, 1)


def test_each_form_is_sent_once_before_it_is_measured_in_each_size() -> None:
    form = Form("a", "/batch", fill(b"", b"1"))
    sent: list[int] = []

    def longest(_form: Form, request: bytes) -> Longest:
        sent.append(len(request))
        return Longest(0.0, "")

    found = dict(loop.measure(longest, lambda _form, request: sent.append(len(request)), (form,)))
    assert [size for _, size in found] == list(loop.SIZES)
    assert sent[0] == sent[1] < 2**11
    assert sent[1:] == sorted(sent[1:])


def test_report_has_the_worst_size_of_each_form_beyond_the_limit() -> None:
    found = {(name, size): Longest(0.008 + size / 1e6, "") for name in "012345678" for size in (1, 2)}
    assert [text for _, text in loop.report(found)] == [f"{i}, 2 bytes" for i in (8, 7, 6, 5, 4)]
    found |= {(name, 3000): Longest(0.011, "") for name in "0123456"}
    assert [text for _, text in loop.report(found)] == [f"{i}, 3,000 bytes" for i in range(6, -1, -1)]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_bodies_are_as_long_as_asked_for(form: Form) -> None:
    assert 0 < len(form.make(2**14)) <= 2**14 + 4096
    assert len(form.make(2**16)) <= 2**16 + 4096


def test_forms_have_names_of_their_own() -> None:
    assert len({form.name for form in FORMS}) == len(FORMS)
