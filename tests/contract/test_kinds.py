"""A kind of model without weights, served by every transport."""

from collections.abc import Iterator

import numpy as np
import pytest

from predictor.errors import NotSupported
from predictor.model.kinds.trees import TreeModel
from tests.contract.bodies import Wanted
from tests.contract.transports import TRANSPORTS, Transport
from tests.support.models import tree_model
from tests.support.server import Server, start_predictor

MODEL: TreeModel = tree_model(100)
ROWS = ((0.5,), (2.0,), (2.0000000000000004,), (-7.0,))


@pytest.fixture(scope="module")
def trees() -> Iterator[Server]:
    """A predictor of trees."""
    with start_predictor(MODEL, inline_bytes=4096) as server:
        yield server


@pytest.mark.parametrize("transport", TRANSPORTS, ids=lambda transport: transport.name)
def test_every_transport_answers_for_trees(trees: Server, transport: Transport) -> None:
    rows = ROWS[2:3] if "rows" in transport.exempt else ROWS
    reply = transport.send(trees, Wanted(rows))
    if transport.scope == "explain":
        assert reply.outcome == transport.outcome(NotSupported) == 501
        assert reply.message == "a model of the kind trees has no exact explanation of its predictions"
    else:
        assert reply.outcome == transport.outcome(None)
        assert list(reply.predictions) == MODEL.rows(np.array(rows)).tolist()
