import pytest

from predictor.errors import OutOfMemory
from predictor.service.memory_budget import MemoryBudget, Reservation


def test_memory_is_granted_up_to_the_limit_and_returned() -> None:
    memory = MemoryBudget(100)
    first, second = Reservation(memory), Reservation(memory)
    first.grow(60)
    with pytest.raises(OutOfMemory):
        second.grow(41)
    second.grow(40)
    assert memory.used == 100
    first.release()
    first.release()
    assert memory.used == 40
    memory.check(60)


def test_hold_may_exceed_the_memory_limit() -> None:
    """Then requests without a body, such as probes, are still admitted."""
    memory = MemoryBudget(100)
    reservation = Reservation(memory)
    reservation.hold(150)
    with pytest.raises(OutOfMemory):
        memory.check(1)
    memory.check(0)
    reservation.release()
    assert memory.used == 0
