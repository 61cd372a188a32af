"""A champion of another target is found before any data is read."""

from pathlib import Path

import pytest

from components.plan.champion import ChampionError, check_target
from components.plan.component import plan
from components.registry.registry import Registry, open_registry


def test_accepts_a_champion_of_the_same_target(champion_root: Path) -> None:
    check_target(open_registry(champion_root), "linear-regressor", "y")


def test_accepts_a_registry_without_a_champion(registry: Registry) -> None:
    check_target(registry, "linear-regressor", "y")


def test_names_the_other_target_and_the_option_to_add(champion_root: Path) -> None:
    with pytest.raises(ChampionError) as caught:
        plan.python_func(str(champion_root), source="nowhere.csv", features=["x"], target="Flat price (€)")
    assert str(caught.value) == (
        "linear-regressor is the name of a model of 'y': its champion, version 1, can't be compared with a "
        "model of 'Flat price (€)'. Give the new model a name of its own, with "
        "--param model_name=linear-regressor-flat-price, or let it take over this name, with "
        "--param incomparable=replace"
    )


@pytest.mark.parametrize("policy", ["keep", "replace"])
def test_leaves_it_to_the_policy_if_there_is_one(champion_root: Path, policy: str) -> None:
    (text,) = plan.python_func(str(champion_root), incomparable=policy)
    assert "sklearn://diabetes" in text
