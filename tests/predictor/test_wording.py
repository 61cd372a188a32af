import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.wording import shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Zürich", '"Zürich"'),
        ("東京 €5 🙂", '"東京 €5 🙂"'),
        ('a"b\\', r'"a\"b\\"'),
        ("a\nb\t\0", r'"a\nb\t\u0000"'),
        ("\x1b[31m\x7f\x85", r'"\u001b[31m\u007f\u0085"'),
        ("\ud83d", r'"\ud83d"'),
        ("\u202eabc\u2028\u00a0\ufeff", r'"\u202eabc\u2028\u00a0\ufeff"'),
        ("ä" * 41, f'"{"ä" * 40}..."'),
    ],
)
def test_shows_letters_plainly_and_escapes_what_cannot_be_seen(text: str, expected: str) -> None:
    assert shown(text) == expected


@given(st.text(st.characters(), max_size=40))
def test_a_shown_text_is_json_of_one_line_that_any_transport_can_send(text: str) -> None:
    found = shown(text)
    assert json.loads(found) == text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    assert found.isprintable()
    found.encode()
