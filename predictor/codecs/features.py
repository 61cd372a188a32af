"""Features by name: a client may send them in any order."""

from collections import Counter
from collections.abc import Collection, Sequence

from predictor.errors import InvalidInput
from predictor.wording import shown

_LISTED = 5


def order(found: Sequence[str], names: Sequence[str], where: str, *, further: bool = False) -> list[int]:
    """Return the position of each of the model's features among the names that were sent.

    Args:
        found: the names that were sent.
        names: the model's features.
        where: what the names are part of, for the message.
        further: whether other names are passed over where every feature is there.

    Raises:
        InvalidInput: names are missing, unknown or repeated; it lists them.
    """
    positions = {name: i for i, name in enumerate(found)}
    complete = all(name in positions for name in names)
    if complete and len(found) == len(names):
        return [positions[name] for name in names]
    known, times = set(names), Counter(found)
    problems = {
        "missing": [name for name in names if name not in positions],
        "unknown": [] if further and complete else [name for name in positions if name not in known],
        "repeated": [name for name in names if times[name] > 1],
    }
    if not any(problems.values()):
        return [positions[name] for name in names]
    parts = (_describe(problem, listed) for problem, listed in problems.items() if listed)
    raise InvalidInput(f"{where}: {'; '.join(parts)}")


def _describe(problem: str, names: Collection[str]) -> str:
    listed = ", ".join(shown(name) for name in list(names)[:_LISTED])
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{problem} feature{'s' * (len(names) > 1)} {listed}{more}"
