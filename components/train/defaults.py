"""Defaults of the pipeline for the training, which can be known without importing scikit-learn."""

from collections.abc import Mapping
from typing import Any

KIND = "linear"
DESCENT: Mapping[str, Any] = {
    "iterations": 0,
    "lr": 0.0,
    "learning_rate": "constant",
    "penalty": "",
    "alpha": 0.0001,
    "l1_ratio": 0.15,
}
"""The parameters that the pipeline has for the linear kind alone."""
