"""A model folder that is not valid: the process lives, is not ready, and names the file and the reason."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import grpc
import httpx
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from predictor.model import artifact
from tests.support.models import write_model
from tests.support.server import NAME, start_predictor

ADMIN = {"Authorization": "Bearer secret"}
GRPC_ADMIN = (("authorization", "Bearer secret"),)
LOAD = f"/v2/repository/models/{NAME}/load"
V1, V2 = f"/v1/models/{NAME}", f"/v2/models/{NAME}"


def change_model(folder: Path) -> None:
    file = folder / "model.json"
    file.write_text(file.read_text().replace("152.0", "153.0"))


def truncate_reference(folder: Path) -> None:
    file = folder / "reference.json"
    file.write_bytes(file.read_bytes()[:-20])


def enlarge_model(folder: Path) -> None:
    (folder / "model.json").write_bytes(b" " * (artifact.MAX_FILE_BYTES + 1))


def change_format(folder: Path) -> None:
    file = folder / "manifest.json"
    file.write_text(file.read_text().replace('"format_version": 2', '"format_version": 99'))


def replace_model_by_a_fifo(folder: Path) -> None:
    (folder / "model.json").unlink()
    os.mkfifo(folder / "model.json")


def link_the_reference(folder: Path) -> None:
    file = folder / "reference.json"
    file.rename(folder.with_name("reference.json"))
    file.symlink_to(folder.with_name("reference.json"))


def add_a_file_whose_name_is_not_utf8(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).touch()


DAMAGES: tuple[tuple[Callable[[Path], None], str], ...] = (
    (shutil.rmtree, "is not a folder"),
    (change_model, "model.json was changed"),
    (truncate_reference, "reference.json was changed"),
    (enlarge_model, "model.json is larger than"),
    (replace_model_by_a_fifo, "model.json is not a regular file"),
    (link_the_reference, "reference.json is a link"),
    (add_a_file_whose_name_is_not_utf8, "udcff does not belong in a model folder"),
    (change_format, "manifest.json: unsupported format version 99"),
)


def assert_alive_but_not_ready(client: httpx.Client, reason: str) -> None:
    assert client.get("/ping").text == "pong"
    assert client.get("/v2/health/live").status_code == 200
    for path in ("/v2/health/ready", f"{V2}/ready", V1, V2, "/stream/1"):
        answer = client.get(path)
        assert answer.status_code == 503, path
        assert reason in answer.json()["error"]
    for path in ("/stream", "/batch", f"{V1}:predict", f"{V1}:explain", f"{V2}/infer"):
        assert client.post(path, json={}).status_code == 503
    assert client.get("/", headers={"accept": "text/html"}).status_code == 200
    assert "predictor_requests" in client.get("/metrics").text


def test_says_why_the_model_folder_is_invalid_until_an_administrator_loads_a_valid_one(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "1"
    with start_predictor(folder, admin_token="secret") as server, server.http as client:
        assert_alive_but_not_ready(client, "is not a folder")
        for damage, reason in DAMAGES:
            damage(write_model(folder))
            assert client.post(LOAD, headers=ADMIN).status_code == 503
            assert_alive_but_not_ready(client, reason)
            assert reason in server.log.read_text()
            shutil.rmtree(folder, ignore_errors=True)
        assert client.post("/v2/repository/index", headers=ADMIN).json()[0]["state"] == "UNAVAILABLE"

        write_model(folder)
        assert client.post(LOAD).status_code == 401
        assert client.post(LOAD, headers=ADMIN).json() == {"name": NAME, "load": True}
        assert client.get("/v2/health/ready").json() == {"ready": True}
        assert client.get("/stream/0").json() == {"prediction": 152.0}

        change_model(folder)  # a reload that fails keeps the model that serves
        answer = client.post(LOAD, headers=ADMIN)
        assert (answer.status_code, "model.json was changed" in answer.text) == (503, True)
        load = pb.RepositoryModelLoadRequest(model_name=NAME)
        with (
            grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel,
            pytest.raises(grpc.RpcError, match=r"model\.json was changed"),
        ):
            GRPCInferenceServiceStub(channel).RepositoryModelLoad(load, metadata=GRPC_ADMIN)
        assert client.get("/v2/health/ready").json() == {"ready": True}
        assert client.get("/stream/0").json() == {"prediction": 152.0}

        assert client.post(f"/v2/repository/models/{NAME}/unload", headers=ADMIN).json()["unload"]
        assert client.get("/v2/health/ready").status_code == 503
        assert "it was unloaded" in client.get("/stream/0").json()["error"]
