"""Takes what a client still sends of a refused body out of its socket, without a copy of it being made."""

import asyncio
import mmap
import socket
from collections.abc import Callable

WORTH = 2**17
"""Bytes from which on a sink costs less than to read them."""

# Never written to where the kernel discards (Linux), and so no memory; elsewhere overwritten again and again.
_VOID = mmap.mmap(-1, 2**22)


class Sink:
    """Empties a socket of some bytes, and hands it back to its transport."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        left: int,
        done: Callable[[], None],
    ) -> None:
        self._loop, self._transport, self._left, self._done = loop, transport, left, done
        # A second number for the socket: the first one is watched by the transport.
        self._socket = transport.get_extra_info("socket").dup()
        transport.pause_reading()
        loop.add_reader(self._socket, self._take)
        self._take()

    def close(self) -> None:
        """Leave the rest where it is."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def _take(self) -> None:
        try:
            taken = self._socket.recv_into(_VOID, min(self._left, len(_VOID)), socket.MSG_TRUNC)
        except BlockingIOError:
            return
        except OSError:
            taken = 0
        self._left -= taken
        if taken and self._left:
            return
        # At its end, or the client's: the transport finds the latter by itself.
        self.close()
        self._transport.resume_reading()
        if not self._left:
            self._done()
