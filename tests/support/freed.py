"""Bytes that tell which thread frees them."""

import threading
from collections.abc import Callable


def watched() -> tuple[Callable[[int], bytes], list[bool]]:
    """Return what makes so many bytes, and for each such bytes that were freed, whether a thread did so."""
    freed: list[bool] = []

    class Watched(bytes):
        def __del__(self) -> None:
            freed.append(threading.current_thread() is not threading.main_thread())

    return Watched, freed
