"""The iterates and the losses are those of gradient descent taken one step at a time."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, LinearRegression, Ridge

from components.train import descent, proximal, rates
from components.train.regression import SimpleLinearRegression
from tests.components.train.reference import assert_same, gradient_descent


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few hundred steps span several chunks."""
    for module in (descent, proximal, rates):
        monkeypatch.setattr(module, "CHUNK", 128)


@pytest.mark.parametrize("iterations", [1, 2, 15, 400])
@pytest.mark.parametrize("lr", [0.01, 0.1, 0.24])
def test_matches_the_reference_at_a_constant_rate(diabetes: Any, iterations: int, lr: float) -> None:
    X, y = diabetes
    assert_same(SimpleLinearRegression(iterations, lr).fit(X, y), gradient_descent(X, y, iterations, lr))


@pytest.mark.parametrize(
    ("settings", "l1", "l2"),
    [({}, 0.0, 0.0), ({"penalty": "l2"}, 0.0, 0.1), ({"penalty": "l1"}, 0.2, 0.0)],
    ids=["none", "l2", "l1"],
)
@pytest.mark.parametrize(("iterations", "power"), [(1, 0.5), (2, 0.5), (400, 0.5), (400, 2.0)])
def test_matches_the_reference_at_falling_rates(
    diabetes: Any, settings: dict[str, Any], l1: float, l2: float, iterations: int, power: float
) -> None:
    X, y = diabetes
    model = SimpleLinearRegression(
        iterations, 0.24, alpha=0.1, learning_rate="invscaling", power_t=power, **settings
    ).fit(X, y)
    assert_same(model, gradient_descent(X, y, iterations, 0.24, power=power, l1=l1, l2=l2))


def test_matches_the_reference_with_sample_weights(diabetes: Any) -> None:
    X, y = diabetes
    weight = np.random.default_rng(4).integers(0, 4, size=len(y)).astype(float)
    model = SimpleLinearRegression(300).fit(X, y, sample_weight=weight)
    assert_same(model, gradient_descent(X, y, 300, weight=weight))


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-8])
def test_follows_directions_of_very_small_eigenvalues(gap: float) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 300))
    X = np.column_stack([first, first + gap * second])
    y = second + rng.normal(size=300)
    assert_same(SimpleLinearRegression(1000).fit(X, y), gradient_descent(X, y, 1000))


def test_does_not_move_along_directions_without_data() -> None:
    rng = np.random.default_rng(1)
    base = rng.normal(size=(200, 2))
    X = np.column_stack([base, base @ [1.0, -2.0], np.full(200, 7.0)])
    y = base @ [3.0, 1.0] + rng.normal(size=200)
    assert_same(SimpleLinearRegression(500).fit(X, y), gradient_descent(X, y, 500))
    forever = SimpleLinearRegression(10**12).fit(X, y)
    assert forever.coef_[3] == 0
    np.testing.assert_allclose(forever.predict(X), LinearRegression().fit(X, y).predict(X), rtol=1e-9)


@pytest.mark.parametrize("iterations", [1, 100, 1000])
def test_stays_accurate_for_raw_features_far_from_zero(iterations: int) -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(1e4, 1, size=(200, 1))
    y = 3 * X[:, 0] + rng.normal(size=200)
    model = SimpleLinearRegression(iterations, 4e-9, standardize=False).fit(X, y)
    assert_same(model, gradient_descent(X, y, iterations, 4e-9, standardize=False))


def test_stays_accurate_for_raw_features_on_different_scales() -> None:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(200, 3)) * [1e-3, 1, 1e2] + [0, 5, 0]
    y = X @ [1e3, 1, 1e-2] + rng.normal(size=200)
    model = SimpleLinearRegression(1000, 5e-5, standardize=False).fit(X, y)
    assert_same(model, gradient_descent(X, y, 1000, 5e-5, standardize=False))


@pytest.mark.parametrize(("schedule", "power"), [("constant", 0.0), ("invscaling", 0.25)])
def test_stays_accurate_for_a_raw_feature_near_zero(schedule: str, power: float) -> None:
    rng = np.random.default_rng(3)
    X = rng.normal(scale=1e-9, size=(200, 1))
    y = 1e9 * X[:, 0] + rng.normal(size=200)
    model = SimpleLinearRegression(300, 0.1, learning_rate=schedule, power_t=power, standardize=False).fit(
        X, y
    )
    assert_same(model, gradient_descent(X, y, 300, 0.1, standardize=False, power=power))


def test_losses_of_a_perfect_fit_are_not_negative() -> None:
    for seed in range(20):
        X = np.random.default_rng(seed).normal(size=(50, 2))
        model = SimpleLinearRegression(10**4).fit(X, X @ [1.0, 2.0] + 3)
        assert 0 <= model.losses[-1] < 1e-12


@pytest.mark.parametrize(
    ("penalty", "l1", "l2"), [("l2", 0.0, 1.0), ("l1", 2.0, 0.0), ("elasticnet", 0.5, 0.75)]
)
@pytest.mark.parametrize("standardize", [True, False])
def test_applies_the_penalty_at_every_step(
    diabetes: Any, penalty: str, l1: float, l2: float, standardize: bool
) -> None:
    X, y = diabetes
    model = SimpleLinearRegression(
        400, penalty=penalty, alpha=1.0, l1_ratio=0.25, standardize=standardize
    ).fit(X, y)
    assert_same(model, gradient_descent(X, y, 400, l1=l1, l2=l2, standardize=standardize))


def test_a_billion_iterations_reach_least_squares(diabetes: Any) -> None:
    X, y = diabetes
    model = SimpleLinearRegression(10**9).fit(X, y)
    np.testing.assert_allclose(model.coef_, LinearRegression().fit(X, y).coef_, rtol=1e-9)
    assert len(model.losses) == 10**9 + 1
    assert model.losses[-1] == pytest.approx(np.mean((y - model.predict(X)) ** 2))


def test_converges_to_scikit_learns_elastic_net(diabetes: Any) -> None:
    X, y = diabetes
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    settings: dict[str, Any] = {"alpha": 2.0, "l1_ratio": 0.4}
    model = SimpleLinearRegression(200, penalty="elasticnet", learning_rate="auto", **settings).fit(Z, y)
    reference = ElasticNet(**settings, tol=1e-12, max_iter=10**6).fit(Z, y)
    np.testing.assert_allclose(model.coef_, reference.coef_, rtol=1e-7, atol=1e-9)


def test_converges_to_ridge_regression(diabetes: Any) -> None:
    X, y = diabetes
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    model = SimpleLinearRegression(10**8, penalty="l2", alpha=0.5).fit(Z, y)
    np.testing.assert_allclose(model.coef_, Ridge(alpha=0.5 * len(y)).fit(Z, y).coef_, rtol=1e-9)


def first_stop(losses: Any, tol: float, patience: int) -> int:
    """The step at which ``patience`` steps in a row have gained less than ``tol``, or the last one."""
    in_a_row = 0
    for step in range(1, len(losses)):
        in_a_row = in_a_row + 1 if losses[step] > losses[:step].min() - tol else 0
        if in_a_row == patience:
            return step
    return len(losses) - 1


@pytest.mark.parametrize("penalty", [None, "l1"])
@pytest.mark.parametrize("schedule", ["constant", "invscaling"])
@pytest.mark.parametrize("lr", [0.05, 0.71])
def test_stops_at_the_same_step_as_the_reference(
    diabetes: Any, penalty: str | None, schedule: str, lr: float
) -> None:
    X, y = diabetes[0][:, [2, 3]], diabetes[1]
    power = 0.25 if schedule == "invscaling" else 0.0
    *_, losses = gradient_descent(X, y, 1000, lr, l1=2.0 if penalty else 0.0, power=power)
    for relative, patience in product([1e-9, 1e-6, 1e-3, 0.2], [1, 2, 5, 400]):
        tol = relative * np.mean(y**2)
        model = SimpleLinearRegression(
            1000, lr, penalty=penalty, alpha=1.0, learning_rate=schedule, tol=tol, n_iter_no_change=patience
        ).fit(X, y)
        assert model.n_iter_ == first_stop(losses, tol, patience), (relative, patience)
        assert len(model.losses) == model.n_iter_ + 1


@pytest.mark.parametrize("penalty", [None, "l1"])
def test_patience_starts_again_after_a_step_that_lowers_the_loss(penalty: str | None) -> None:
    """The first rate overshoots, so that the first step gains less than the next ones."""
    X = np.random.default_rng(8).normal(size=(100, 1))
    y = X[:, 0] - X.mean()
    *_, losses = gradient_descent(X, y, 50, 0.999, l1=0.002 if penalty else 0.0, power=0.25)
    gains, tol = -np.diff(losses), 0.1 * losses[0]
    assert gains[0] < tol < gains[1]
    model = SimpleLinearRegression(
        50, 0.999, penalty=penalty, alpha=0.001, learning_rate="invscaling", tol=tol, n_iter_no_change=2
    ).fit(X, y)
    assert model.n_iter_ == first_stop(losses, tol, patience=2)


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("penalty", [None, "l1"])
@pytest.mark.parametrize("schedule", ["constant", "invscaling"])
def test_warns_only_when_the_tolerance_is_not_met(diabetes: Any, penalty: str | None, schedule: str) -> None:
    settings: dict[str, Any] = {"tol": 1.0, "penalty": penalty, "learning_rate": schedule}
    steps = SimpleLinearRegression(**settings).fit(*diabetes).n_iter_
    assert SimpleLinearRegression(steps, **settings).fit(*diabetes).n_iter_ == steps
    with pytest.warns(ConvergenceWarning, match="increase iterations"):
        model = SimpleLinearRegression(steps - 1, **settings).fit(*diabetes)
    assert model.n_iter_ == steps - 1


@pytest.fixture
def stable_rate(diabetes: Any) -> Callable[..., float]:
    """Fit at a rate that diverges; returns the largest stable one, which the error names."""

    def stable_rate(lr: float, **settings: Any) -> float:
        message = rf"diverges at the learning rate lr={lr}: the largest stable"
        with pytest.raises(ValueError, match=message) as error:
            SimpleLinearRegression(50, lr, random_state=0, **settings).fit(*diabetes)
        return float(str(error.value).rstrip(".").split()[-1])

    return stable_rate


@pytest.mark.parametrize(
    "settings", [{}, {"penalty": "l1"}, {"batch_size": 32}, {"learning_rate": "invscaling"}]
)
def test_refuses_a_diverging_rate_and_names_the_largest_stable_one(
    diabetes: Any, stable_rate: Callable[..., float], settings: dict[str, Any]
) -> None:
    model = SimpleLinearRegression(50, stable_rate(0.9, **settings), random_state=0, **settings).fit(
        *diabetes
    )
    assert model.losses[-1] < model.losses[0]


def test_any_larger_rate_than_the_named_one_diverges(
    diabetes: Any, stable_rate: Callable[..., float]
) -> None:
    with pytest.raises(ValueError, match="diverges"):
        SimpleLinearRegression(lr=stable_rate(0.5) * 1.01).fit(*diabetes)
