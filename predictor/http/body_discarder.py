"""Discards a refused body without reading it: the kernel does (MSG_TRUNC, Linux).

While more large requests come than can be answered, what a refusal costs decides how many are. A body of a
megabyte that the transport reads costs twice as much as one that the kernel discards.
"""

import asyncio
import mmap
import socket
from collections.abc import Callable

# Linux never writes to it, so it takes no memory; other systems overwrite it again and again.
_VOID = mmap.mmap(-1, 2**22)
_WAKE_BYTES = 2**19
_HEAD_BYTES = 4096


class BodyDiscarder:
    """Reads in the place of a transport: discards refused bodies, and hands on what begins behind them.

    Args:
        loop: the event loop.
        transport: the transport, which does not read meanwhile.
        received: takes the first bytes behind a body; calls ``discard`` if they announce another such body.
        released: is called when the transport has to read again.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        received: Callable[[bytes], None],
        released: Callable[[], None],
    ) -> None:
        self._loop, self._received, self._released = loop, received, released
        self._left = 0
        self._waking_at = 1
        # The event loop watches the first descriptor of the socket for the transport.
        self._socket = transport.get_extra_info("socket").dup()
        loop.add_reader(self._socket, self._ready)

    def discard(self, size: int) -> None:
        """Discard the next bytes."""
        self._left = size
        self._wake_at(size)

    def release(self) -> None:
        """End."""
        if self._socket.fileno() >= 0:
            self._wake_at(1)
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._released()

    def _ready(self) -> None:
        try:
            if self._left:
                size = self._socket.recv_into(_VOID, min(self._left, len(_VOID)), socket.MSG_TRUNC)
                self._left -= size
                self._wake_at(self._left)
            else:
                data = self._socket.recv(_HEAD_BYTES)
                size = len(data)
                if data:
                    self._received(data)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        if not size:  # the client's end, or an error, which the transport finds by itself
            self.release()

    def _wake_at(self, size: int) -> None:
        """Let the event loop know of many bytes at once, rather than of each packet."""
        size = max(1, min(size, _WAKE_BYTES))
        if size != self._waking_at:
            self._waking_at = size
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
