"""A model folder that can't be believed: the process lives, is not ready, and says which file and why."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from predictor.model import artifact
from predictor.model.artifact import LinearModel

if TYPE_CHECKING:
    from tests.contract.conftest import StartServer

NAME = "linear-regressor"


def missing(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def changed(folder: Path) -> None:
    file = folder / "model.json"
    file.write_text(file.read_text().replace("152.0", "153.0"))


def truncated(folder: Path) -> None:
    file = folder / "reference.json"
    file.write_bytes(file.read_bytes()[:-20])


def too_large(folder: Path) -> None:
    (folder / "model.json").write_bytes(b" " * (artifact.MAX_FILE_BYTES + 1))


def of_another_format(folder: Path) -> None:
    file = folder / "manifest.json"
    file.write_text(file.read_text().replace('"format_version": 1', '"format_version": 99'))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (missing, "is not a folder"),
        (changed, "model.json was changed"),
        (truncated, "reference.json was changed"),
        (too_large, "model.json is larger than"),
        (of_another_format, "manifest.json: format version 99 is not known"),
    ],
)
def test_a_broken_model_folder_leaves_the_process_alive_and_not_ready(
    start_server: "StartServer",
    make_model: Callable[..., LinearModel],
    tmp_path: Path,
    spoil: Callable[[Path], None],
    reason: str,
) -> None:
    folder = tmp_path / "1"
    artifact.write(make_model(), folder)
    spoil(folder)
    with start_server(folder) as server, server.http as client:
        assert client.get("/ping").text == "pong"
        assert client.get("/v2/health/live").status_code == 200
        v1, v2 = f"/v1/models/{NAME}", f"/v2/models/{NAME}"
        for path in ("/v2/health/ready", f"{v2}/ready", v1, v2, "/stream/1"):
            answer = client.get(path)
            assert answer.status_code == 503, path
            assert reason in answer.json()["error"]
        for path in ("/stream", "/batch", f"{v1}:predict", f"{v1}:explain", f"{v2}/infer"):
            assert client.post(path, json={}).status_code == 503
        assert client.get("/", headers={"accept": "text/html"}).status_code == 200
        assert "inference_requests" in client.get("/metrics").text
        assert reason in server.log.read_text()


def test_a_folder_that_was_mended_is_loaded_on_an_administrators_word(
    start_server: "StartServer", make_model: Callable[..., LinearModel], tmp_path: Path
) -> None:
    admin = {"Authorization": "Bearer secret"}
    with start_server(tmp_path / "1", admin_token="secret") as server, server.http as client:
        load = f"/v2/repository/models/{NAME}/load"
        assert client.post(load, headers=admin).status_code == 503
        assert client.post("/v2/repository/index", headers=admin).json()[0]["state"] == "UNAVAILABLE"
        artifact.write(make_model(), tmp_path / "1")
        assert client.post(load).status_code == 401
        assert client.post(load, headers=admin).json() == {"name": NAME, "load": True}
        assert client.get("/v2/health/ready").json() == {"ready": True}
        assert client.get("/stream/0").json() == {"prediction": 152.0}
        assert client.post(f"/v2/repository/models/{NAME}/unload", headers=admin).json()["unload"]
        assert client.get("/v2/health/ready").status_code == 503
        assert "it was unloaded" in client.get("/stream/0").json()["error"]
