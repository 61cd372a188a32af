"""The calls in the guide of the endpoints and in the README are answered as they say."""

import re
import subprocess
from collections.abc import Iterator

import pytest

from components.registry.folders import LocalFolders
from predictor.model import artifact
from predictor.model.evaluation import Evaluation, Quality, encode
from predictor.model.inputs import Input
from tests.docs.blocks import Command, commands
from tests.support.models import linear_model, mixed_model
from tests.support.server import Server, start_predictor

TYPED = "Booleans, categories and missing values"
# The last two of the 20 residuals, which decide the interval, of the model that make run trains.
RESIDUALS = (*map(float, range(1, 19)), 91.21988573607436, 105.17490935595913)


def calls() -> Iterator[Command]:
    """Yield the calls whose answers the documents show whole."""
    for command in commands():
        if (
            command.block.document in ("README.md", "docs/api.md")
            and "curl" in command.text
            and command.output
            and not re.search("…|PREDICTOR_ADMIN_TOKEN", command.text + command.output)
        ):
            yield command


@pytest.fixture(scope="module")
def mixed_server() -> Iterator[Server]:
    with start_predictor(mixed_model()) as running:
        yield running


@pytest.fixture(scope="module")
def diabetes_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the model that ``make run`` trains, as version 3."""
    place = tmp_path_factory.mktemp("diabetes")
    model = linear_model(
        (938.2378612513514,),
        152.91886182616113,
        features=[Input("bmi", -0.09027529589850945, 0.17055522598064407)],
    )
    digest = artifact.write(model, place / "model")
    errors = Quality(50.478434986892864, 41.22709128976147)
    evaluation = Evaluation(
        digest,
        20,
        errors,
        errors,
        tuple(range(1, 21)),
        RESIDUALS,
        "sklearn://diabetes",
        "2026-01-01T00:00:00+00:00",
    )
    (place / "model" / artifact.EVALUATION_FILE).write_bytes(encode(evaluation))
    LocalFolders(place, "linear-regressor").publish(place / "model", 3)
    with start_predictor(place / "models" / "linear-regressor" / "3") as running:
        yield running


@pytest.mark.parametrize("call", list(calls()), ids=str)
def test_call_is_answered_as_the_document_says(
    call: Command, mixed_server: Server, diabetes_server: Server
) -> None:
    server = mixed_server if call.block.section == TYPED else diabetes_server
    script = call.text.replace("localhost:8080", f"127.0.0.1:{server.port}").replace("curl ", "curl -s ", 1)
    assert script != call.text
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == call.output.strip()


def test_most_calls_of_the_guide_are_tried() -> None:
    assert len(list(calls())) > 20
