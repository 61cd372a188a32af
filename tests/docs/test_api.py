"""The calls in the guide of the endpoints are answered as it says."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.models import mixed_model
from tests.support.server import Server, start_predictor

GUIDE = Path(__file__).parents[2] / "docs" / "api.md"
TYPED = "## Booleans, categories and missing values\n"


def calls(section: str) -> list[tuple[str, str]]:
    """Return the commands of a section, and what they print."""
    text = GUIDE.read_text(encoding="utf-8").split(section)[1].split("\n## ")[0]
    found = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for call in block.split("$ ")[1:]:
            command, brace, output = call.rpartition("\n{")
            found.append((command, brace[1:] + output))
    return found


@pytest.fixture(scope="module")
def mixed_server() -> Iterator[Server]:
    with start_predictor(mixed_model()) as running:
        yield running


@pytest.mark.parametrize(("command", "output"), calls(TYPED), ids=lambda text: text[:50])
def test_calls_with_typed_inputs_are_answered_as_the_guide_says(
    mixed_server: Server, command: str, output: str
) -> None:
    address = f"127.0.0.1:{mixed_server.port}"
    script = command.replace("curl localhost:8080", f"curl -s {address}")
    assert script != command
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == output.strip()
