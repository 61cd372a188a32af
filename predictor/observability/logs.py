"""Structured logs: one JSON object a line, on standard error."""

import logging
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime

import orjson

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}

_LIBRARIES = (
    "kserve", "kserve.trace", "uvicorn", "uvicorn.error", "uvicorn.access", "asyncio", "httpx", "urllib3",
)  # fmt: skip


class JsonFormatter(logging.Formatter):
    """Formats a record as an object with time, level, logger, message, and the fields of ``extra``.

    An exception is shown without its message, which may have values in it that a client sent.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return a record, with its traceback if it has one, as one line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            line["exception"] = without_messages(record.exc_info[1])
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def without_messages(error: BaseException | None) -> str:
    """Return the traceback of an exception and of those before it, without their messages."""
    parts: list[str] = []
    found = error
    while found is not None:
        parts[:0] = [*traceback.format_tb(found.__traceback__), f"{type(found).__name__}\n"]
        found = found.__cause__ or found.__context__
    return "".join(parts)


def write_lines(lines: Sequence[bytes]) -> None:
    """Write whole lines where the logs go, none of them within another.

    Raises:
        OSError: standard error is closed.
    """
    (handler,) = logging.getLogger().handlers
    handler.acquire()
    try:
        sys.stderr.buffer.write(b"".join(lines))
        sys.stderr.buffer.flush()
    finally:
        handler.release()


def configure(level: str) -> None:
    """Write the logs of all packages to standard error as JSON, from a level upwards."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.getLogger().handlers[:] = [handler]
    for name in _LIBRARIES:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    set_level(level)


def set_level(level: str) -> None:
    """Write logs from a level upwards; those of libraries only from warnings upwards.

    KServe and uvicorn would write a few lines for each request.
    """
    logging.getLogger().setLevel(level)
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def current_level() -> str:
    """Return the level from which logs are written."""
    return logging.getLevelName(logging.getLogger().level)
