"""Checks that the champion predicts the same target, before any data is read."""

from components.registry.registry import Registry


class ChampionError(ValueError):
    """The champion predicts another target than the run will; the message says what to do."""


def check_target(registry: Registry, model_name: str, target: str) -> None:
    """Refuse a run whose target differs from the champion's, so that the two could not be compared.

    Raises:
        ChampionError: the champion has another target.
    """
    version = registry.champion()
    if version is None:
        return
    held = registry.entry(version).model.target.name
    if held != target:
        raise ChampionError(
            f"{model_name} is the name of a model of {held!r}: its champion, version {version.number}, can't "
            f"be compared with a model of {target!r}. Give the new model a name of its own, with "
            f"--param model_name={model_name}-{_slug(target)}, or let it take over this name, with "
            "--param incomparable=replace"
        )


def _slug(text: str) -> str:
    kept = "".join(character if character.isalnum() and character.isascii() else "-" for character in text)
    return kept.strip("-").lower() or "2"
