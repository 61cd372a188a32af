# ruff: noqa: E501  lists of odd things read better in few lines
"""The same document gets the same answer whichever reader its size and its form lead it to."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.codecs import json_bulk, json_document, json_small
from predictor.endpoints import native, v1, v2
from predictor.endpoints.small_json import SmallJson
from predictor.messages import Response
from tests.fuzz import bodies
from tests.support.service import Endpoint, answer, make_service

SERVICES = {1: make_service(), 2: make_service((938.25, -0.5))}
SMALL = (250, 260, 1020, 1030, 2**14 - 4, 2**14 + 4, 2**17 - 4, 2**17 + 4)
LARGE = (2**19 + 4, 2**20 - 4, 2**20 + 90)
"""On both sides of each size at which another reader is asked, or of an older version's."""
SLOW = pytest.param(LARGE, marks=pytest.mark.slow, id="large")
sizes = pytest.mark.parametrize("sizes", [pytest.param(SMALL, id="small"), SLOW])

ROWS = {
    1: [
        "[0.5]", "0.5", "7", "-0", "1e-320", "[0.1, 0.2]", "[]", "null", "true", '"0.5"', "[null]", '["a"]', "[[0.5]]",
        "[[[0.5]]]", '{"bmi": 0.5}', '{"bmi": null}', '{"bmi": 1, "bmi": 2}', '{"bmi": null, "bmi": 2}', '{"bp": 1}', "{}",
        '{"bmi": 1, "bp": 2}', '{"bm\\u0069": 0.5}', "1e999", "[1e999]", "18446744073709551617", "-9223372036854775809",
        "9" * 400, "1" * 5000, "1e308", "NaN", "[-Infinity]", "[0.5", "0.5]", "01", "+1", "[0.5,]", ",", "'a'", '"\\ud800"',
        '"]"', '"},{"', '["],["]', "[" * 1100 + "]" * 1100, "[0.5] [0.5]", "[0.5],,[0.5]", "0.5 , [0.5]",
    ],
    2: [
        "[0.5, 1]", "[0.5]", "[1, 2, 3]", "0.5", "[[1, 2]]", "[[1], [2]]", "[1, null]", "[1, true]", '["x", 2]', "[]",
        '{"bmi": 0.5, "bp": 1}', '{"bp": 1, "bmi": 0.5}', '{"bmi": 1}', '{"bmi": 1, "bp": 2, "s1": 3}', '{"bmi": 1, "bp": []}',
        "[1e999, 2]", "[1, 20000000000000000000]", "[NaN, 1]", "[1, 2] , [3, 4]", "[1, 2],[3]",
    ],
}  # fmt: skip
GOOD = {1: "[0.25]", 2: "[0.25, 2]"}


def outcome(response: Response) -> tuple[int, str]:
    return response.status, response.body.decode("latin-1")


def padded(document: str, size: int) -> Iterator[bytes]:
    """The document, made longer by white space at its end, in front of it, and where a space is in it."""
    space = " " * (size - len(document.encode()))
    yield f"{document}{space}".encode()
    if '"error' not in document:
        yield f"{space}{document}".encode()
        yield document.replace(": ", f":{space} ", 1).encode()


def without_bytes(text: str) -> str:
    """A message without the place of a byte, which depends on what is in front of it."""
    return re.sub(r"byte \d+", "byte", text)


def check(endpoint: Endpoint, width: int, document: str, sizes: Sequence[int] = SMALL + LARGE) -> None:
    """Check that a document is answered the same at every size."""
    service = SERVICES[width]
    status, text = outcome(answer(service, endpoint, document.encode()))
    for size in sizes:
        for body in padded(document, size) if size > len(document) else ():
            found = outcome(answer(service, endpoint, body))
            assert (found[0], without_bytes(found[1])) == (status, without_bytes(text)), (size, body[:80])


@sizes
@pytest.mark.parametrize(("width", "row"), [(width, row) for width, rows in ROWS.items() for row in rows])
def test_an_instance_has_one_answer_at_every_size(width: int, row: str, sizes: Sequence[int]) -> None:
    check(native.stream, width, f'{{"instance": {row}}}', sizes)


@sizes
@pytest.mark.parametrize("endpoint", [native.batch, v1.predict, v1.explain])
@pytest.mark.parametrize(("width", "row"), [(width, row) for width, rows in ROWS.items() for row in rows])
def test_a_row_has_one_answer_at_every_size(
    endpoint: Endpoint, width: int, row: str, sizes: Sequence[int]
) -> None:
    check(endpoint, width, f'{{"instances": [{GOOD[width]}, {row}]}}', sizes)


@pytest.mark.parametrize("row", ["[0.5]", "[1, 2]", '{"bmi": 0.5}', "[null]", "[1e999]", "0.5]", '"]"'])
def test_a_row_has_one_answer_in_a_large_document(row: str) -> None:
    check(native.batch, 1, f'{{"instances": [{GOOD[1]}, {row}]}}', LARGE)


@pytest.mark.parametrize("first", ["list", "number", "object"])
@pytest.mark.parametrize("count", [60, 700, 6_000, pytest.param(90_000, marks=pytest.mark.slow)])
def test_a_row_behind_many_others_is_answered_as_behind_one(first: str, count: int) -> None:
    good = {"list": "[0.25]", "number": "0.25", "object": '{"bmi": 0.25}'}[first]
    for row in ROWS[1][:36]:
        few = outcome(answer(SERVICES[1], native.batch, f'{{"instances": [{good}, {row}]}}'.encode()))
        many = [good] * count + [row]
        found = outcome(answer(SERVICES[1], native.batch, f'{{"instances": [{", ".join(many)}]}}'.encode()))
        assert found[0] == few[0], row
        if found[0] == 200:
            numbers = json.loads(found[1])["predictions"]
            assert numbers[count - 1 :] == json.loads(few[1])["predictions"]
        else:
            few_text = few[1].replace("instances[1]", f"instances[{count}]")
            assert without_bytes(found[1]) == without_bytes(few_text), row


MEMBERS = [
    '"tags": ["a", [1, 2]]',
    '"parameters": {"instances": [9], "data": [9]}',
    '"x": NaN',
    '"x": 1e999',
    '"é": "]}"',
]


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("count", [1, 60, 8_000, 120_000])
def test_v1_ignores_further_members_at_every_size(member: str, count: int) -> None:
    rows = f'"instances": [{", ".join(["[0.5]"] * count)}]'
    for document in (
        f"{{{rows}, {member}}}",
        f"{{{member}, {rows}}}",
        f" {{{member} ,\n{rows} , {member} }} ",
    ):
        response = answer(SERVICES[1], v1.predict, document.encode())
        assert response.status == 200, response.body
        assert json.loads(response.body)["predictions"] == [621.125] * count


@pytest.mark.parametrize("count", [1, 60, 8_000, 120_000])
def test_native_endpoints_refuse_further_members_at_every_size(count: int) -> None:
    rows = f'"instances": [{", ".join(["[0.5]"] * count)}]'
    for document in (f'{{{rows}, "x": 1}}', f'{{"x": 1, {rows}}}'):
        found = outcome(answer(SERVICES[1], native.batch, document.encode()))
        assert found == (400, '{"error":"unknown key \\"x\\"; use {\\"instances\\": [...]}"}')


@pytest.mark.parametrize("count", [1, 60, 8_000, 120_000])
def test_the_last_of_equal_keys_counts_at_every_size(count: int) -> None:
    for key, endpoint in (("instances", native.batch), ("instances", v1.predict), ("inputs", v1.predict)):
        good, other = (
            f'"{key}": [{", ".join(["[0.5]"] * count)}]',
            f'"{key}": [{", ".join(["null"] * count)}]',
        )
        response = answer(SERVICES[1], endpoint, f"{{{other}, {good}}}".encode())
        assert response.rows == count, response.body
        assert answer(SERVICES[1], endpoint, f"{{{good}, {other}}}".encode()).status == 400


TENSOR: dict[str, Any] = {"name": "instances", "shape": [3, 1], "datatype": "FP64", "data": [0.5, 1, 2]}
TENSORS = [
    {}, {"name": "input-0"}, {"name": 3}, {"name": None}, {"shape": [3]}, {"shape": [1, 3]}, {"shape": [2, 1]}, {"shape": "3"},
    {"data": [[0.5], [1], [2]]}, {"data": [[0.5, 1], [2]]}, {"data": [[[0.5]], [[1], 2]]}, {"data": [[], 0.5, [1, 2]]},
    {"data": [0.5, None, 1]}, {"data": [0.5, "1", 2]}, {"data": 3}, {"data": None}, {"data": []}, {"data": [[0.5, True], [1]]},
    {"datatype": "FP32"}, {"datatype": "FP16", "data": [0.1, 1e9, 2]}, {"datatype": "INT64"}, {"datatype": "INT32", "data": [6.8, 1, 2]},
    {"datatype": "UINT8", "data": [300, 1, 2]}, {"datatype": "INT64", "data": [2**63, 1, 2]}, {"datatype": "BYTES"},
    {"datatype": "INT64", "data": [2**63 - 1, -(2**63), 2]}, {"datatype": "UINT64", "data": [2**64 - 1, 0, 7.0]},
    {"datatype": "BOOL", "data": [True, False, 1]}, {"datatype": "BOOL", "data": [True, 2, 1]}, {"data": [True, 1, 2]},
    {"parameters": {"data": [9, 9, 9], "binary_data_size": 8}}, {"parameters": 3}, {"more": [[1, 2], {"data": [9]}]},
]  # fmt: skip
REQUESTS: list[dict[str, Any]] = [
    {}, {"id": "7"}, {"id": 7}, {"id": ""}, {"id": None}, {"parameters": {"data": [9, 9, 9]}}, {"parameters": 3}, {"outputs": []},
    {"outputs": [{"name": "output-0"}]}, {"outputs": [{"name": "a"}, {"name": "b"}]}, {"outputs": 3}, {"data": [9, 9, 9]},
    {"parameters": {"binary_data_output": True}}, {"outputs": [{"name": "predictions", "parameters": {"binary_data": True}}]},
]  # fmt: skip


@sizes
@pytest.mark.parametrize("change", TENSORS, ids=str)
def test_a_tensor_has_one_answer_at_every_size(change: dict[str, Any], sizes: Sequence[int]) -> None:
    check(v2.infer, 1, json.dumps({"inputs": [TENSOR | change]}), sizes)


@sizes
@pytest.mark.parametrize("change", REQUESTS, ids=str)
def test_an_inference_request_has_one_answer_at_every_size(
    change: dict[str, Any], sizes: Sequence[int]
) -> None:
    check(v2.infer, 1, json.dumps({"inputs": [TENSOR]} | change), sizes)
    check(v2.infer, 1, json.dumps(change | {"inputs": [TENSOR]}), sizes)


def test_strings_that_cannot_be_encoded_are_refused_at_every_size() -> None:
    for text in (
        '{"id": "\\ud800", "inputs": []}',
        '{"inputs": [], "x": "\\udc00"}',
        '{"inputs": [{"name": "\\ud800a"}]}',
    ):
        check(v2.infer, 1, text)
        assert answer(SERVICES[1], v2.infer, text.encode()).status == 400


def cases(endpoint: Endpoint, key: str) -> st.SearchStrategy[tuple[Endpoint, int, bytes]]:
    """Odd documents for models of one and of two features."""
    by_width = (
        st.tuples(
            st.just(endpoint),
            st.just(width),
            bodies.documents(width, key, long=False) if key else bodies.v2_documents(width),
        )
        for width in SERVICES
    )
    return st.one_of(*by_width)


@given(
    case=st.one_of(
        cases(native.stream, "instance"),
        cases(native.batch, "instances"),
        cases(v1.predict, "instances"),
        cases(v2.infer, ""),
    ),
    piece=st.sampled_from([40, 2**20]),
    small=st.booleans(),
)
def test_the_choice_of_readers_does_not_change_the_answer(
    case: tuple[Endpoint, int, bytes], piece: int, small: bool
) -> None:
    endpoint, width, body = case
    expected = outcome(answer(SERVICES[width], endpoint, body))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_bulk, "PIECE", piece)
        patch.setattr(json_document, "LONG", 8)
        patch.setattr(json_small, "SMALL", 2**20 if small else 0)
        found = outcome(answer(SERVICES[width], endpoint, body))
    assert found == expected or "longer than 40 bytes" in found[1]


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("body", [
    b'{"instance": 0.5}', b'{"instance": [0.5]}', b'{"instance": [0.5, 2]}', b'{"instance": {"bmi": 0.5}}', b'{"instance": true}',
    b'{"instance": {"bp": 1, "bmi": 0.5}}', b'{"instance": {"bmi": 0.5, "x": 2}}', b'{"instance": 1, "x": 2}', b'{"x": 1}', b"{", b"",
    b'{"instance": 1e308}', b'{"instance": 1, "instance": 2}', b'{"instance": null, "instance": 2}', b'{"instance": 1e999}',
    b'{"instance": ' + b"[" * 2000, b'{"inst\\u0061nce": 1}', b'{"instance": 18446744073709551617}', b'{"instance": -0}',
])  # fmt: skip
def test_the_small_reader_of_an_instance_answers_as_the_endpoint(width: int, body: bytes) -> None:
    found = SmallJson(SERVICES[width].handle).stream(body)
    full = answer(SERVICES[width], native.stream, body)
    assert found is None or (found[0], len(found[1]), 200) == (full.body, full.rows, full.status)
    further = b'"x"' in body or (width == 1 and b'"bp"' in body)  # members that the endpoint passes over
    assert found is not None or full.status == 400 or b"null" in body or further
