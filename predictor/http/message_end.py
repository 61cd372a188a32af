"""Where the request that is being parsed may end."""

_HEAD_END = b"\r\n\r\n"
_PART = 2**14
"""Bytes of a chunked body that are parsed at once: with the shortest chunks they take a few milliseconds."""


class MessageEnd:
    """Cuts received bytes so that the parser gets nothing that is behind the current request.

    A request ends with its head, with the length of its body, or with the empty line behind the last chunk.
    An empty line may also be within a body in chunks; then the parser just gets it in more parts.

    Attributes:
        body_left: bytes of the body that are still to come; None in the head, and in a body in chunks.
    """

    def __init__(self) -> None:
        self.body_left: int | None = None
        self._last = b""

    def begin(self) -> None:
        """Start with the head of another request."""
        self.body_left, self._last = None, b""

    def find(self, data: bytes, start: int) -> int:
        """Return where to cut ``data``, from whose place ``start`` on nothing is parsed yet."""
        if self.body_left is not None:
            return min(start + self.body_left, len(data))
        across = self._last + data[start : start + 3]
        place = across.find(_HEAD_END)
        if place >= 0:
            end = start - len(self._last) + place + len(_HEAD_END)
        else:
            place = data.find(_HEAD_END, start, start + _PART)
            end = place + len(_HEAD_END) if place >= 0 else min(start + _PART, len(data))
        self._last = (self._last + data[max(start, end - 3) : end])[-3:]
        return end
