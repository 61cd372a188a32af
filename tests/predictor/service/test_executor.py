import asyncio
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from predictor.errors import DeadlineExceeded, Overloaded
from predictor.service.executor import LARGE, BoundedExecutor, joined
from tests.support.freed import watched


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """What blocked work waits for; set at the end of the test, also where that fails."""
    event = threading.Event()
    yield event
    event.set()


def test_runs_work_in_a_thread_and_raises_its_error() -> None:
    async def run() -> None:
        executor = BoundedExecutor(threads=1, queue=0, queue_bytes=100, seconds=60)
        assert await executor.run(threading.current_thread, 1) is not threading.main_thread()
        with pytest.raises(ZeroDivisionError):
            await executor.run(lambda: 1 // 0, 1)
        assert executor.jobs == 0

    asyncio.run(run())


def test_limit_counts_running_and_waiting_work(release: threading.Event) -> None:
    async def run() -> None:
        executor = BoundedExecutor(threads=1, queue=1, queue_bytes=100, seconds=60)
        asked = []
        for taken in (1, 2):
            executor.check(1)
            asked.append(asyncio.create_task(executor.run(release.wait, 1)))
            await asyncio.sleep(0)
            assert executor.jobs == taken
        with pytest.raises(Overloaded) as refused:
            executor.check(1)
        assert (refused.value.status, dict(refused.value.headers)) == (503, {b"retry-after": b"1"})
        release.set()
        assert await asyncio.gather(*asked) == [True, True]
        executor.check(1)

    asyncio.run(run())


def test_limits_the_bytes_of_running_and_waiting_work(release: threading.Event) -> None:
    async def run() -> None:
        executor = BoundedExecutor(threads=1, queue=9, queue_bytes=100, seconds=60)
        executor.check(1000)
        first = asyncio.create_task(executor.run(release.wait, 60))
        await asyncio.sleep(0)
        executor.check(40)
        with pytest.raises(Overloaded):
            executor.check(41)
        release.set()
        await first
        assert executor.bytes == 0

    asyncio.run(run())


def test_runs_received_work_beyond_the_limit() -> None:
    async def run() -> list[int]:
        executor = BoundedExecutor(threads=1, queue=0, queue_bytes=100, seconds=60)
        return await asyncio.gather(*(executor.run(partial(int, i), 1) for i in range(20)))

    assert asyncio.run(run()) == list(range(20))


def test_work_past_its_deadline_is_skipped_and_holds_its_slot_until_then(release: threading.Event) -> None:
    begun: list[str] = []

    async def run() -> None:
        executor = BoundedExecutor(threads=1, queue=1, queue_bytes=100, seconds=0.05)
        first = asyncio.create_task(executor.run(release.wait, 1))
        await asyncio.sleep(0)
        with pytest.raises(DeadlineExceeded) as late:
            await executor.run(lambda: begun.append("second"), 1)
        assert late.value.status == 504
        with pytest.raises(DeadlineExceeded):
            await first
        assert executor.jobs == 2
        release.set()
        executor.seconds = 60
        assert await executor.run(lambda: "third", 1) == "third"
        assert executor.jobs == 0

    asyncio.run(run())
    assert begun == []


@pytest.mark.parametrize(("size", "in_thread"), [(LARGE // 2, False), (LARGE // 2 + 1, True)])
def test_joins_a_long_body_and_frees_its_parts_in_a_thread(size: int, *, in_thread: bool) -> None:
    make, freed = watched()
    parts = [make(size), make(size)]
    assert asyncio.run(joined(parts)) == bytes(2 * size)
    assert freed == [in_thread] * 2
