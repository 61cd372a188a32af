"""The buffer before a store that is slow, full or away."""

import threading
from collections.abc import Callable

import pytest

from predictor.feedback import batch_writer
from predictor.feedback.batch_writer import BatchWriter

LONG = 3600.0


class Store:
    """Writes, once it may; fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.open = threading.Event()
        self.open.set()
        self.asked = threading.Semaphore(0)
        self.written: list[list[str]] = []
        self.stored = threading.Semaphore(0)

    def write(self, batch: list[str]) -> None:
        self.asked.release()
        self.open.wait()
        if self.failures:
            self.failures -= 1
            raise OSError("no space left")
        self.written.append(batch)
        self.stored.release()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_writer, "_FIRST_PAUSE", 0.001)


@pytest.fixture
def start() -> Callable[..., BatchWriter[str]]:
    def start(store: Store, limit: int = 100, seconds: float = LONG) -> BatchWriter[str]:
        return BatchWriter("letters", store.write, limit, seconds)

    return start


def test_what_waits_is_written_in_its_order_at_the_end(start: Callable[..., BatchWriter[str]]) -> None:
    store = Store()
    buffer = start(store)
    assert all(buffer.offer(letter, 1) for letter in "abc")
    assert buffer.close(LONG) == 0
    assert store.written == [["a", "b", "c"]]
    assert buffer.size == 0


def test_an_item_is_written_when_it_is_old(start: Callable[..., BatchWriter[str]]) -> None:
    store = Store()
    buffer = start(store, seconds=0.001)
    buffer.offer("a", 1)
    assert store.stored.acquire(timeout=60)
    buffer.offer("b", 1)
    assert store.stored.acquire(timeout=60)
    assert store.written == [["a"], ["b"]]


def test_many_bytes_are_written_at_once(start: Callable[..., BatchWriter[str]]) -> None:
    store = Store()
    buffer = start(store, limit=2**30)
    buffer.offer("a", 2**23)
    assert store.stored.acquire(timeout=60)


def test_what_finds_no_room_is_refused_and_counted(start: Callable[..., BatchWriter[str]]) -> None:
    store = Store()
    store.open.clear()
    buffer = start(store, limit=10, seconds=0.001)
    assert buffer.offer("a", 6)
    assert store.asked.acquire(timeout=60)
    assert not buffer.offer("b", 6), "what is being written takes room still"
    assert buffer.offer("c", 4)
    assert (buffer.taken, buffer.refused) == (2, 1)
    store.open.set()
    assert buffer.close(LONG) == 0
    assert [letter for batch in store.written for letter in batch] == ["a", "c"]


def test_a_batch_that_fails_is_written_again_before_what_came_later(
    start: Callable[..., BatchWriter[str]],
) -> None:
    store = Store(failures=3)
    buffer = start(store, seconds=0.001)
    buffer.offer("a", 1)
    assert store.stored.acquire(timeout=60)
    buffer.offer("b", 1)
    buffer.close(LONG)
    assert store.written == [["a"], ["b"]]
    assert buffer.failures == 3


def test_a_store_that_stays_away_holds_up_no_end(
    start: Callable[..., BatchWriter[str]], caplog: pytest.LogCaptureFixture
) -> None:
    buffer = start(Store(failures=10**9))
    buffer.offer("a", 1)
    buffer.offer("b", 1)
    assert buffer.close(0.05) == 2
    assert "2 items of letters were not stored before the end" in caplog.text
    assert not buffer.offer("c", 1), "nothing is taken that will not be written"
