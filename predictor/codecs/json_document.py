"""Decodes JSON documents with msgspec, and returns the bytes of their arrays for the array readers.

msgspec checks what it skips, which takes as long as parsing it. So a body is first decoded with the insides
of its long arrays left out. That counts only if each of them is an array that the caller asks for and reads
as plain numbers; otherwise the whole body is decoded.
"""

import re
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import msgspec
from msgspec import Raw

from predictor.errors import InvalidInput, PredictorError
from predictor.wording import shown

ABSENT = Raw()
"""The default of a ``Struct``'s member: the client did not send it."""

LONG = 2**10
"""Bytes of an array beyond which leaving it out saves time."""

TOO_DEEP = "the body is nested too deeply"

T = TypeVar("T")

_STAND_IN = b"[0e-271828%d]"
"""Replaces an array that is left out."""

_RAW = msgspec.json.Decoder(Raw)
_MALFORMED = re.compile(r"JSON is malformed: (.*) \(byte (\d+)\)")
_HALF_PAIRS = ("unexpected end of hex escape", "invalid utf-16 surrogate pair")
_HALF_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}")
_PAIR = len(r"\ud83d\ude00")
_HALF = "half of a surrogate pair"
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_INDEX = re.compile(r"`\$(\[\d+\])")
_MOST_OBJECTS = 100_000
_SHOWN = 40


class Array(NamedTuple):
    """The inside of a JSON array, without its brackets.

    Attributes:
        text: the text that it is in, from ``start`` to ``stop``.
        checked: whether it is known to be valid JSON.
    """

    text: bytes | bytearray
    start: int
    stop: int
    checked: bool


class Document:
    """A body to decode, the insides of long arrays left out once it is shortened."""

    def __init__(self, body: bytes | bytearray) -> None:
        self.body = body
        self.short: bytes | bytearray = body
        self.left_out: dict[bytes, tuple[int, int]] = {}

    def members(self, kind: "msgspec.json.Decoder[T]", form: str) -> T:
        """Decode the object that the body is.

        Args:
            kind: decodes a ``Struct`` of members that are ``Raw``.
            form: the form of the object, for messages.

        Raises:
            InvalidInput: it is not JSON, not UTF-8, or another object.
        """
        return members(kind, self.short, form)

    def array(self, value: Raw, where: str) -> Array:
        """Return the inside of a member that is an array; each may be asked for once.

        Raises:
            InvalidInput: it is something else.
        """
        text = bytes(value)
        if len(text) < 2 * len(_STAND_IN) and text in self.left_out:
            return Array(self.body, *self.left_out.pop(text), checked=False)
        if not text.startswith(b"["):
            raise InvalidInput(f"{where}: expected a list, got {describe(text)}")
        return Array(text, 1, len(text) - 1, checked=True)

    def shorten(self) -> None:
        """Replace what is between brackets in long stretches of the body without a quote."""
        body, parts, position, copied = self.body, [], 0, 0
        while position < len(body):
            last = body.rfind(b'"', position, position + LONG)
            if last >= 0:
                position = last + 1
                continue
            end = body.find(b'"', position)
            end = len(body) if end < 0 else end
            start = body.find(b"[", position, end)
            brace = body.find(b"}", start, end)
            stop = body.rfind(b"]", start, end if brace < 0 else brace)
            if start >= 0 and stop - start > LONG:
                stand_in = _STAND_IN % len(self.left_out)
                self.left_out[stand_in] = start + 1, stop
                parts += [body[copied:start], stand_in]
                copied = stop + 1
            position = end + 1
        short = b"".join([*parts, body[copied:]]) if parts else body
        if short.count(_STAND_IN[:-3]) == len(self.left_out):
            self.short = short
        else:  # the client sent a stand-in itself
            self.left_out.clear()


def read(body: bytes | bytearray, reader: Callable[[Document], T]) -> T:
    """Call a reader with a shortened document, and again with the whole one if that was not enough.

    Raises:
        PredictorError: the reader refuses the whole document.
    """
    document = Document(body)
    document.shorten()
    if document.left_out:
        try:
            found = reader(document)
        except PredictorError:
            pass
        else:
            if not document.left_out:
                return found
        document = Document(body)
    return reader(document)


def members(kind: "msgspec.json.Decoder[T]", text: bytes | bytearray | Raw, form: str) -> T:
    """Decode an object.

    Raises:
        InvalidInput: it is not JSON, not UTF-8, or another object.
    """
    try:
        return decode(kind, text)
    except msgspec.ValidationError as error:
        if unknown := _UNKNOWN.match(str(error)):
            raise InvalidInput(f"unknown key {shown(unknown[1])}; use {form}") from None
        raise InvalidInput(f"expected {form}, got {describe(bytes(text))}") from None


def objects(kind: "msgspec.json.Decoder[list[T]]", value: Raw, where: str) -> list[T]:
    """Decode a list of objects.

    Raises:
        InvalidInput: it is something else, or is empty.
    """
    text = bytes(value)
    if not text.startswith(b"["):
        raise InvalidInput(f"{where}: expected a list, got {describe(text)}")
    if text.count(b"{") > _MOST_OBJECTS:
        raise InvalidInput(f"{where}: more than {_MOST_OBJECTS} objects")
    try:
        found = decode(kind, value)
    except msgspec.ValidationError as error:
        wrong = _INDEX.search(str(error))
        raise InvalidInput(f"{where}{wrong[1] if wrong else ''}: expected an object") from None
    if not found:
        raise InvalidInput(f"{where}: expected at least one object, got an empty list")
    return found


def whole(body: bytes | bytearray) -> bytes:
    """Return the bytes of a valid document.

    Raises:
        InvalidInput: it is not JSON, or not UTF-8.
    """
    return bytes(decode(_RAW, body))


def decode(kind: "msgspec.json.Decoder[T]", text: bytes | bytearray | Raw) -> T:
    """Decode JSON; the last of several equal keys counts.

    NaN and Infinity, which are not JSON but Python writes, are read as strings, so that a later error can
    name their place.

    Raises:
        InvalidInput: it is not JSON, not UTF-8, or nested too deeply.
        msgspec.ValidationError: it is JSON of another form.
    """
    try:
        if not isinstance(text, Raw):  # the parts of a document were checked with it
            check_utf8(text)
        return kind.decode(text)
    except msgspec.ValidationError:
        raise
    except RecursionError:
        raise InvalidInput(TOO_DEEP) from None
    except msgspec.DecodeError as error:
        return _decode_not_finite(kind, bytes(text), error)


def check_utf8(body: bytes | bytearray) -> None:
    """Check the encoding, which msgspec does not check in what it skips.

    Raises:
        InvalidInput: it is not UTF-8; it names the first byte that is wrong.
    """
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            wrong = f"byte {error.start} is {body[error.start]:#04x}"
            raise InvalidInput(f"the body is not UTF-8: {wrong}") from None


def describe(text: bytes) -> str:
    """Return the kind of a JSON value for a message, and what it begins with."""
    text = text.strip()
    short = text[:_SHOWN].decode(errors="replace") + "..." * (len(text) > _SHOWN)
    kind = {b"[": "a list", b"{": "an object", b'"': f"the string {short}"}.get(text[:1], "")
    return kind or (short if text[:1].isalpha() else f"the number {short}")


def _decode_not_finite(kind: "msgspec.json.Decoder[T]", text: bytes, error: msgspec.DecodeError) -> T:
    """Decode again if the error is at NaN or Infinity, else raise it in our words."""
    what, place = _explain(text, error)
    if text.startswith((b"NaN", b"Infinity"), place):
        text = text.replace(b"NaN", b'"NaN"').replace(b"Infinity", b'"Infinity"')
        try:
            return kind.decode(text.replace(b'-"Infinity"', b'"-Infinity"'))
        except msgspec.ValidationError:
            raise
        except (msgspec.DecodeError, RecursionError):
            pass
    raise InvalidInput(
        f"the body is not JSON: {what} at byte {place}" if text.strip() else "the body is empty"
    )


def _explain(text: bytes, error: msgspec.DecodeError) -> tuple[str, int]:
    """Return what is wrong, and at which byte."""
    if not (malformed := _MALFORMED.match(str(error))):
        half = _HALF_PAIR.search(text, max(0, len(text) - _PAIR))
        return (_HALF, half.start()) if half else ("it ends too early", len(text.rstrip()))
    what, place = malformed[1], int(malformed[2])
    if what in _HALF_PAIRS:
        return _HALF, place - _PAIR // 2
    return what, place - (what == "trailing characters")
