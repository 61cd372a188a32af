"""What runs beside the requests."""

import asyncio

import pytest

from predictor.app import repeat
from tests.support.service import make_service


@pytest.mark.parametrize("error", [ValueError("wrong"), RecursionError(), TypeError("a list")])
def test_a_background_task_that_fails_is_logged_counted_and_goes_on(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = make_service().metrics
    rounds: list[int] = []

    async def run() -> None:
        done = asyncio.Event()

        async def work(round_: int) -> None:
            rounds.append(round_)
            if round_ == 3:
                done.set()
            raise error

        task = asyncio.create_task(repeat("refresh", 0, work, metrics))
        await asyncio.wait_for(done.wait(), 60)
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(run())
    assert rounds[:3] == [1, 2, 3]
    assert metrics.task_failures["refresh"] >= 2
    assert vars(caplog.records[0])["task"] == "refresh"
    (counted,) = (
        family for family in metrics.collect() if family.name == "predictor_background_task_failures"
    )
    assert counted.samples[0].labels == {"task": "refresh"}
