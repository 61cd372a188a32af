"""Throws away bodies that were refused, without reading them: the kernel does it.

While more comes than can be answered, what a refusal costs decides how much is left for answers. A transport
would copy a quarter of a megabyte twice before the head in it could be looked at.
"""

import asyncio
import mmap
import socket
from collections.abc import Callable

# Never written to where the kernel discards (Linux), and so no memory; elsewhere overwritten again and again.
_VOID = mmap.mmap(-1, 2**22)
_HEAD = 4096
_WAKE = 2**19


class BodyDiscarder:
    """Reads in the place of a transport: throws bodies away, and hands on what begins behind them.

    Args:
        transport: what reads otherwise.
        received: takes what comes behind a body; it calls ``take`` if that is to be refused as well.
        passed: is called behind a body.

    Attributes:
        left: bytes that are to be thrown away.
        released: that the transport reads again.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        received: Callable[[bytes], None],
        passed: Callable[[], None],
    ) -> None:
        self.left = 0
        self._waking_at = 1
        self.released = self._again = False
        self._loop, self._transport, self._received, self._passed = loop, transport, received, passed
        # A second number for the socket: the first one is watched by the transport.
        self._socket = transport.get_extra_info("socket").dup()
        transport.pause_reading()
        loop.add_reader(self._socket, self._ready)

    def take(self, size: int) -> None:
        """Throw away some bytes."""
        self.left, self._again = size, True
        self._discard()

    def release(self) -> None:
        """Let the transport read again."""
        if self.released:
            return
        self.released = True
        self._wake_at(1)
        self._loop.remove_reader(self._socket)
        self._socket.close()
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _ready(self) -> None:
        if self.left:
            self._discard()
            return
        try:
            data = self._socket.recv(_HEAD)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._again = False
        if data:
            self._received(data)
        if not self._again:
            # Not refused, or the client's end, which the transport finds by itself.
            self.release()

    def _discard(self) -> None:
        try:
            taken = self._socket.recv_into(_VOID, min(self.left, len(_VOID)), socket.MSG_TRUNC)
        except BlockingIOError:
            self._wake_at(min(self.left, _WAKE))
            return
        except OSError:
            taken = 0
        self.left -= taken
        if taken and self.left >= _WAKE:
            self._wake_at(_WAKE)
        elif not taken:
            self.release()
        else:
            self._wake_at(max(1, self.left))
            if not self.left:
                self._passed()

    def _wake_at(self, size: int) -> None:
        """Be told of bytes when there are so many, rather than of each packet."""
        if size != self._waking_at:
            self._waking_at = size
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
