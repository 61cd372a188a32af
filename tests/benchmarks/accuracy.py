"""How well the estimator with its defaults predicts the diabetes data's last rows from one feature."""

import argparse
from typing import Any

from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression, SGDRegressor
from sklearn.metrics import mean_squared_error, r2_score

from components.train.regression import SimpleLinearRegression

BMI = 2
HELD_OUT = 20
R2_FLOOR = 0.42


def main(arguments: list[str]) -> int:
    """Print slope, intercept, mse and r2, then the references; 1 when r2 is below its floor."""
    argparse.ArgumentParser(prog="benchmark.py accuracy", description=__doc__).parse_args(arguments)
    scores = score(SimpleLinearRegression())
    for name, value in scores.items():
        print(f"{name} {value:.7g}")
    for reference in (LinearRegression(), SGDRegressor(max_iter=15_000, tol=None, random_state=0)):
        values = " ".join(f"{name}={value:.7g}" for name, value in score(reference).items())
        print(f"# {type(reference).__name__}: {values}")
    if scores["r2"] < R2_FLOOR:
        print(f"# missed: r2 is below {R2_FLOOR}")
        return 1
    return 0


def score(estimator: Any) -> dict[str, float]:
    """Fit on all rows but the last, and score those."""
    X, y = load_diabetes(return_X_y=True)
    X = X[:, [BMI]]
    estimator.fit(X[:-HELD_OUT], y[:-HELD_OUT])
    predicted = estimator.predict(X[-HELD_OUT:])
    return {
        "slope": float(estimator.coef_[0]),
        "intercept": float(
            estimator.intercept_ if isinstance(estimator.intercept_, float) else estimator.intercept_[0]
        ),
        "mse": float(mean_squared_error(y[-HELD_OUT:], predicted)),
        "r2": float(r2_score(y[-HELD_OUT:], predicted)),
    }
