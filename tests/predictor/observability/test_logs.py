"""Log lines, and the log of recent requests."""

import json
import logging
import sys

from predictor.messages import Request
from predictor.observability.logs import JsonFormatter
from predictor.observability.request_log import RequestLog


def test_log_line_is_json_with_extra_fields_and_the_exception_without_its_message() -> None:
    record = logging.makeLogRecord(
        {"name": "predictor", "levelname": "ERROR", "msg": "a\n%s", "args": ("b",)}
    )
    vars(record).update(client="10.0.0.1", status=401)
    try:
        raise ValueError("wrong")
    except ValueError:
        record.exc_info = sys.exc_info()
    text = JsonFormatter().format(record)
    line = json.loads(text)
    assert "\n" not in text
    assert (line["message"], line["level"], line["client"], line["status"]) == (
        "a\nb",
        "error",
        "10.0.0.1",
        401,
    )
    assert line["exception"].endswith("ValueError\n")
    assert __name__.rpartition(".")[2] in line["exception"]
    assert "wrong" not in text.replace('raise ValueError(\\"wrong\\")', "")


def test_request_log_shows_the_start_of_the_last_requests() -> None:
    log = RequestLog(2)
    for number in range(3):
        log.add("POST", "/" + "p" * 2000, 200, b"%d" % number * 2000, b"\xff")
    shown = json.loads(log.show(Request()).body)["requests"]
    assert [entry["request"] for entry in shown] == ["1" * 1024, "2" * 1024]
    assert all((len(entry["path"]), entry["response"]) == (1024, "\ufffd") for entry in shown)
    assert json.loads(log.empty(Request()).body) == {"emptied": 2}
    assert json.loads(log.show(Request()).body) == {"requests": []}
