"""Words for messages to clients."""

import json

_SHOWN = 40


def shown(text: str) -> str:
    """Return a text as JSON, cut to a length that suits a message."""
    return json.dumps(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


def plural(count: int, noun: str) -> str:
    """Return ``1 byte`` or ``2 bytes``."""
    return f"{count} {noun}{'s' * (count != 1)}"
