"""Features by name: a client may send them in any order."""

from collections.abc import Collection, Sequence

from predictor.errors import InvalidInput
from predictor.wording import shown

_LISTED = 5


def order(found: Sequence[str], names: Sequence[str], where: str) -> list[int]:
    """Return the position of each of the model's features among the names that were sent.

    Args:
        found: the names that were sent.
        names: the model's features.
        where: what the names are part of, for the message.

    Raises:
        InvalidInput: names are missing, unknown or repeated; it lists them.
    """
    positions = {name: i for i, name in enumerate(found)}
    if len(found) == len(names) and all(name in positions for name in names):
        return [positions[name] for name in names]
    known = set(names)
    problems = {
        "missing": [name for name in names if name not in positions],
        "unknown": [name for name in positions if name not in known],
        "repeated": [name for name in names if len(found) > len(positions) and found.count(name) > 1],
    }
    parts = (_describe(problem, listed) for problem, listed in problems.items() if listed)
    raise InvalidInput(f"{where}: {'; '.join(parts)}")


def _describe(problem: str, names: Collection[str]) -> str:
    listed = ", ".join(shown(name) for name in list(names)[:_LISTED])
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{problem} feature{'s' * (len(names) > 1)} {listed}{more}"
