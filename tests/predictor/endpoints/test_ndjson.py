"""Streams of records: one line of response each, and no step that takes long."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.endpoints.ndjson import MOST_ERRORS, Records, Unreadable
from tests.support.service import make_service

SERVICES = {1: make_service(), 2: make_service((1.0, 10.0))}
GOOD = {
    1: ['{"instance":0.5}', '{"instance": [0.5]} ', '{"instance": {"bmi": 0.5}}'],
    2: ['{"instance":[0.5,1]}'],
}
ODD = [
    "null", "{", "[1]", '{"instance":null}', '{"instance":[1,2,3]}', '{"instance":1,"x":2}',
    '{"instance":1}{"instance":2}', '{"instance":', "1}", "}", '{"instance":NaN}', '{"instance":1e308}',
    "é", '{"instance":{"x":1}}', " ", "", "\r",
]  # fmt: skip


def feed(width: int, *parts: bytes) -> list[bytes]:
    """The lines of the response to a stream that arrives in parts."""
    records = Records(SERVICES[width])
    answers = [line for part in parts for line in records.feed(part)] + list(records.finish())
    return b"".join(answers).splitlines(keepends=True)


@given(
    lines=st.lists(st.sampled_from(GOOD[1] * 3 + ODD), max_size=12),
    end=st.sampled_from(["\n", "\r\n"]),
    width=st.sampled_from([1, 2]),
    cuts=st.lists(st.integers(0, 400), max_size=3).map(sorted),
)
def test_answers_each_line_as_if_it_had_come_alone(
    lines: list[str], end: str, width: int, cuts: list[int]
) -> None:
    text = end.join(lines).encode()
    parts = [text[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    alone = [feed(width, line.encode()) for line in lines if line.strip()]
    expected = [
        line.replace(b"record 0", b"record %d" % i) for i, answers in enumerate(alone) for line in answers
    ]
    assert feed(width, *parts) == expected
    assert len(expected) == len([line for line in lines if line.strip()])


def test_answers_many_records_in_short_steps() -> None:
    good, bad = b'{"instance":0.5}\n', b'{"instance":null}\n'
    for text in (
        good * 20_000,
        (good + bad) * 5_000,
        b"\n" * 200_000 + good,
        good * 10_000 + bad,
        (good + b"x\n") * 5_000,
    ):
        records, lines, steps = Records(SERVICES[1]), 0, []
        answers = records.feed(text)
        while True:
            started = time.thread_time()
            answer = next(answers, None)
            steps.append(time.thread_time() - started)
            if answer is None:
                break
            lines += answer.count(b"\n")
        assert lines == text.count(b"{") + text.count(b"x")
        assert sorted(steps)[len(steps) // 2] < 0.05


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"instance":null}', "record 1: instance: expected a number, got null"),
        (b'{"instance":1e308}', "record 1: instance: the prediction is beyond the range of a double"),
        (b"x", "record 1: it is not JSON: invalid character at byte 0"),
        (
            b'{"instance":[%b1]}' % (b"1," * 5000),
            "record 1: instance: expected 1 feature, got more than 1024",
        ),
        (b'{"x":1}', 'record 1: unknown key "x"; use {"instance": ...}'),
    ],
)
def test_says_which_record_is_wrong(line: bytes, message: str) -> None:
    first, second, third = feed(1, b'{"instance":1}\n', line + b'\n{"instance":2}')
    assert json.loads(second) == {"error": message}
    assert json.loads(first)["prediction"] == 1090.25
    assert json.loads(third)["prediction"] == 2028.5


def test_ends_at_a_record_that_is_too_long() -> None:
    records = Records(SERVICES[1])
    answers: list[bytes] = []
    with pytest.raises(Unreadable, match="record 1: longer than 1048576 bytes"):
        answers.extend(records.feed(b'{"instance":1}\n' + b"1" * (2**20 + 1)))
    assert records.count == 1


def test_ends_once_most_records_are_malformed() -> None:
    good, bad = b'{"instance":1}\n', b"x\n"
    records = Records(SERVICES[1])
    answers: list[bytes] = []
    with pytest.raises(Unreadable, match="too many records are malformed"):
        answers.extend(records.feed(good * 1200 + bad * 10_000))
    answered = b"".join(answers).count(b"\n")
    assert answered == records.count
    assert 2400 < answered < 2700


def test_many_errors_among_good_records_do_not_end_a_stream() -> None:
    records = Records(SERVICES[1])
    answers = b"".join(records.feed(b'{"instance":1}\nx\n' * 2 * MOST_ERRORS))
    assert answers.count(b'{"error"') == answers.count(b'{"prediction"') == 2 * MOST_ERRORS
