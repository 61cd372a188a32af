"""The forms of requests that cost a server most: for each reader the body that it takes longest for."""

from pathlib import Path

from tests.support.models import linear_model, write_evaluation, write_model
from tests.support.worst import binary, messages, text
from tests.support.worst.client import send
from tests.support.worst.form import Form

FORMS: tuple[Form, ...] = (*text.forms(), *binary.forms(), *messages.forms())

__all__ = ["FORMS", "Form", "send", "write_worst_model"]


def write_worst_model(folder: Path) -> Path:
    """Write a model whose predictions take longest to write, with intervals; returns its folder.

    Numbers of very many digits are as fitted ones are.
    """
    write_model(folder, linear_model((938.2378612512636,), 152.91886182616113))
    write_evaluation(folder)
    return folder
