"""What may be done on the event loop: readers that would take long there ask for a thread instead."""


class TooCostly(Exception):  # noqa: N818  not an error: the service repeats the request in a thread
    """The request would block the event loop for too long."""


INLINE_BYTES = 2**14
"""Bytes that the careful readers, with an object for each number, may read on the event loop."""


def require_cheap(size: int, *, inline: bool) -> None:
    """Check that reading ``size`` bytes carefully takes a few milliseconds at most, if it is done inline.

    Raises:
        TooCostly: it would take longer.
    """
    if inline and size > INLINE_BYTES:
        raise TooCostly
