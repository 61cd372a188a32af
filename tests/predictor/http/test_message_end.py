"""Where a request may end."""

import pytest

from predictor.http.message_end import MessageEnd

HEAD = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


def cut(data: bytes, packet: int) -> list[bytes]:
    """Cut data that arrives in packets of a size."""
    end, parts = MessageEnd(), []
    for first in range(0, len(data), packet):
        received, place = data[first : first + packet], 0
        while place < len(received):
            stop = end.find(received, place)
            parts.append(received[place:stop])
            place = stop
    return parts


@pytest.mark.parametrize("packet", range(1, 60))
def test_cuts_behind_each_empty_line_however_it_arrives(packet: int) -> None:
    parts = cut(HEAD * 3, packet)
    assert b"".join(parts) == HEAD * 3
    whole = 0
    for part in parts:
        whole += len(part)
        assert whole <= len(HEAD)
        whole %= len(HEAD)


def test_cuts_behind_the_length_of_a_body() -> None:
    end = MessageEnd()
    end.body_left = 10
    assert end.find(b"x" * 4, 0) == 4
    assert end.find(b"ab" + b"\r\n\r\n" * 10, 2) == 12


def test_takes_only_a_part_of_much_without_an_end() -> None:
    end = MessageEnd()
    data = b"x" * 100_000 + b"\r\n\r\n"
    places = [0]
    while places[-1] < len(data):
        places.append(end.find(data, places[-1]))
    assert len(places) > 5
    assert places == sorted(set(places))


def test_begins_anew_with_another_request() -> None:
    end = MessageEnd()
    end.find(b"\r\n", 0)
    end.body_left = 7
    end.begin()
    assert end.find(b"\r\nGET", 0) == 5
