import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct

from predictor.codecs import json_document
from predictor.codecs.json_document import ABSENT, Document
from predictor.errors import InvalidInput


class Members(Struct):
    a: Raw = ABSENT
    b: Raw = ABSENT


class OnlyA(Struct, forbid_unknown_fields=True):
    a: Raw = ABSENT


MEMBERS, ONLY_A = msgspec.json.Decoder(Members), msgspec.json.Decoder(OnlyA)
numbers = st.lists(st.integers(0, 99), min_size=0, max_size=20)
others = st.recursive(
    st.integers(0, 9) | st.text(max_size=20) | st.sampled_from(["[1,2,3,4,5,6]", "\\", '"', "[0e-2718280]"]),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(a=numbers, b=numbers, x=others, order=st.permutations("abx"), indent=st.sampled_from([None, 1]))
def test_finds_the_arrays_of_members_whatever_is_around_them(
    a: list[int], b: list[int], x: object, order: list[str], indent: int | None
) -> None:
    values = {"a": a, "b": b, "x": x}
    body = json.dumps({key: values[key] for key in order}, indent=indent, ensure_ascii=False).encode()

    def inside(document: Document) -> list[list[int]]:
        found = document.members(MEMBERS, "{}")
        arrays = [document.array(found.a, "a"), document.array(found.b, "b")]
        return [json.loads(b"[%b]" % bytes(array.text[array.start : array.stop])) for array in arrays]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_document, "LONG", 5)
        assert json_document.read(body, inside) == [a, b]


def test_leaves_out_long_arrays_only_while_all_are_asked_for() -> None:
    long = b"1," * json_document.LONG + b"1"
    asked: list[bool] = []

    def first(document: Document) -> int:
        asked.append(not document.left_out)
        array = document.array(document.members(MEMBERS, "{}").a, "a")
        return array.stop - array.start

    assert json_document.read(b'{"a": [%b]}' % long, first) == len(long)
    assert asked == [False]
    assert json_document.read(b'{"a": [%b], "x": [%b]}' % (long, long), first) == len(long)
    assert asked == [False, False, True]


@pytest.mark.parametrize("sent", ["[0e-2718280]", "[0e-2718281]", '"[0e-2718280"', '{"y": [0e-2718280]}'])
def test_does_not_take_what_a_client_sends_for_an_array_that_was_left_out(sent: str) -> None:
    long = [1] * json_document.LONG

    def inside(document: Document) -> object:
        array = document.array(document.members(MEMBERS, "{}").a, "a")
        return json.loads(b"[%b]" % bytes(array.text[array.start : array.stop]))

    for body in (f'{{"x": {sent}, "a": {long}}}', f'{{"a": {long}, "x": {sent}}}'):
        assert json_document.read(body.encode(), inside) == long
    if sent.startswith("["):
        assert json_document.read(f'{{"x": {long}, "a": {sent}}}'.encode(), inside) == [0]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty"),
        (b" \n", "the body is empty"),
        (b"{", "the body is not JSON: it ends too early at byte 1"),
        (b'{"a": 1]', "the body is not JSON: expected ',' or '}' at byte 7"),
        (b'{"a": 01}', "the body is not JSON: invalid number at byte 7"),
        (b'{"a": 1}x', "the body is not JSON: trailing characters at byte 8"),
        (b'\xef\xbb\xbf{"a": 1}', "the body is not JSON: invalid character at byte 0"),
        (b'{"a": "\\ud800"}', "the body is not JSON: half of a surrogate pair at byte 7"),
        (b'{"a": "\\ud800....."}', "the body is not JSON: half of a surrogate pair at byte 7"),
        (b'{"a": "\\udc00....."}', "the body is not JSON: half of a surrogate pair at byte 7"),
        (b'{"a": ["a NaN", NaN]}', "the body is not JSON: invalid character at byte 16"),
        (b'{"a": "\xff"}', "the body is not UTF-8: byte 7 is 0xff"),
        (b'{"x": "\xed\xa0\x80"}', "the body is not UTF-8: byte 7 is 0xed"),
        (b"[" * 100_000, 'expected {"a": ...}, got a list'),
        (b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}", "the body is nested too deeply"),
        (b"[]", 'expected {"a": ...}, got a list'),
        (b" 3 ", 'expected {"a": ...}, got the number 3'),
        (b"null", 'expected {"a": ...}, got null'),
        (b'"%b"' % (b"x" * 50), f'expected {{"a": ...}}, got the string "{"x" * 39}...'),
        (b'{"x": 1}', 'unknown key "x"; use {"a": ...}'),
        (b'{"`\\n": 1}', 'unknown key "`\\n"; use {"a": ...}'),
    ],
)
def test_says_what_is_wrong_with_a_document(body: bytes, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        json_document.members(ONLY_A, body, '{"a": ...}')
    assert str(raised.value) == message


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_reads_what_is_not_a_number_as_a_string(text: str) -> None:
    found = json_document.members(MEMBERS, f'{{"a": [1, {text}], "x": {text}}}'.encode(), "{}")
    assert bytes(found.a) == f'[1, "{text}"]'.encode()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3", "x: expected a list, got the number 3"),
        ("[]", "x: expected at least one object, got an empty list"),
        ("[{}, 3]", r"x\[1\]: expected an object"),
        (f"[{'{},' * 100_001}{{}}]", "x: more than 100000 objects"),
    ],
)
def test_refuses_lists_of_something_else_than_objects(text: str, message: str) -> None:
    value = msgspec.json.decode(text.encode(), type=Raw)
    with pytest.raises(InvalidInput, match=message):
        json_document.objects(msgspec.json.Decoder(list[Members]), value, "x")
