"""Words for messages to clients."""

import json

_SHOWN = 40


def shown(text: str) -> str:
    """Return a text as JSON, cut to a length that suits a message.

    Control characters, invisible ones and halves of surrogate pairs are escaped; other letters are plain.
    """
    found = json.dumps(text if len(text) <= _SHOWN else text[:_SHOWN] + "...", ensure_ascii=False)
    return "".join([one if one.isprintable() else json.dumps(one)[1:-1] for one in found])


def plural(count: int, noun: str) -> str:
    """Return ``1 byte`` or ``2 bytes``."""
    return f"{count} {noun}{'s' * (count != 1)}"
