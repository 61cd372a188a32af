"""Gates that decide in a simple way, and what they leave in a registry."""

from collections.abc import Callable
from pathlib import Path

from components.registry.decision import Decision
from components.registry.index import Index, Version, open_index
from components.registry.registry import Registry
from tests.support.models import weights_of

BETTER = Decision(promote=True, reasons=("better",))
WORSE = Decision(promote=False, reasons=("worse",))


def accept(champion: Version | None) -> Decision:
    """Promote every candidate."""
    return BETTER


def refuse(champion: Version | None) -> Decision:
    """Promote no candidate."""
    return WORSE


def if_steeper(slope: float) -> Callable[[Version | None], Decision]:
    """Make a gate that promotes a candidate whose slope is larger than the one in the champion's tags."""
    return lambda champion: BETTER if champion is None or slope > float(champion.tags["slope"]) else WORSE


def champion_slope(registry: Registry) -> float | None:
    """Return the slope of the champion, read from its verified folder."""
    champion = registry.champion()
    return None if champion is None else weights_of(registry.entry(champion).model)[0]


def index_of(root: Path) -> Index:
    """Open the index of the registry in a folder."""
    return open_index("", "linear-regressor", root / "mlflow.db")
