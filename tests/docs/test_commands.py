"""The commands of the documents do what the documents say; `shell.py` executes them."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_diabetes

from components.registry.folders import LocalFolders
from delivery import version
from predictor.model import artifact
from predictor.model.base import Model
from predictor.model.evaluation import Evaluation, Quality, encode
from predictor.model.inputs import Input
from tests.components.operations.cli.conftest import MODEL, TRAINED, record_feedback
from tests.delivery.proxy import replaced, start_proxy
from tests.docs.blocks import ROOT
from tests.docs.classes import executed_here
from tests.docs.shell import Place, agree
from tests.support.models import linear_model, mixed_model
from tests.support.processes import wait_until
from tests.support.registry import register_models
from tests.support.repository import add_signing_key, copy_checkout, make_repository, pushed
from tests.support.server import Server, start_predictor

NAME = "linear-regressor"
RELEASE = version.current(version.ROOT)
TYPED = "Booleans, categories and missing values"
# The last two of the 20 residuals, which decide the interval, of the model that make run trains.
RESIDUALS = (*map(float, range(1, 19)), 91.21988573607436, 105.17490935595913)
# Of the tests alone.
TOKEN = "token-of-the-tests"
KUBECTL = """#!/bin/sh
case "$1" in
logs) until grep -q refused pod.log; do sleep 0.1; done; cat pod.log ;;
port-forward) ;;
*) exit 1 ;;
esac
"""
Factory = pytest.TempPathFactory


def diabetes_model() -> Model:
    """Return the model that ``make run`` trains."""
    bmi = Input("bmi", -0.09027529589850945, 0.17055522598064407)
    return linear_model((938.2378612513514,), 152.91886182616113, features=[bmi])


def publish(place: Path) -> Path:
    """Publish that model as version 3, with its evaluation; returns the folder of the version."""
    digest = artifact.write(diabetes_model(), place / "model")
    errors = Quality(50.478434986892864, 41.22709128976147)
    rows, created = tuple(range(1, 21)), "2026-01-01T00:00:00+00:00"
    evaluation = Evaluation(digest, 20, errors, errors, rows, RESIDUALS, "sklearn://diabetes", created)
    (place / "model" / artifact.EVALUATION_FILE).write_bytes(encode(evaluation))
    LocalFolders(place, NAME).publish(place / "model", 3)
    return place / "models" / NAME / "3"


@contextmanager
def deployed(release: str) -> Iterator[tuple[Server, str]]:
    """Serve a model as if by a release; yields the server, and the address of its gateway."""
    with start_predictor() as server, start_proxy(server.port) as proxy:
        proxy.change = replaced("/", RELEASE.encode(), release.encode())
        yield server, proxy.url


@contextmanager
def readme(place: Place, factory: Factory) -> Iterator[None]:
    place.link_checkout()
    yield
    log = (place.folder / "server.log").read_text()
    assert "Version 1 is the champion now" in log


@contextmanager
def api(place: Place, factory: Factory) -> Iterator[None]:
    """The model that ``make run`` trains is served, and one of several types."""
    (place.folder / "predictor").symlink_to(ROOT / "predictor")
    folder = publish(factory.mktemp("diabetes"))
    place.changes = {"DIR": str(folder)}
    with start_predictor(folder) as diabetes, start_predictor(mixed_model()) as mixed:
        place.ports = {"": diabetes.port, TYPED: mixed.port}
        yield


@contextmanager
def cards(place: Place, factory: Factory) -> Iterator[None]:
    """Version 2 is the champion."""
    place.link_checkout()
    register_models(factory, place.folder / ".local", linear_model((1.0,)), linear_model((2.0,)))
    yield
    assert "# Model card: linear-regressor, version 2" in place.printed[0]
    assert "version 2" in (place.folder / "cards" / "MODEL_CARD.md").read_text()


@contextmanager
def delivery(place: Place, factory: Factory) -> Iterator[None]:
    copy_checkout(place.folder)
    make_repository(place.folder)
    add_signing_key(place.folder)
    place.link_environment()
    place.environment = {"LATENCY": "60000"}
    with deployed("1.2.3") as (server, url):
        place.changes = {
            "https://prices.example.com": url,
            "https://grpc.prices.example.com": f"http://127.0.0.1:{server.grpc_port}",
        }
        yield
    assert pushed(place.folder, "--format=%s%d", "--max-count=1").startswith("Release 1.2.3 (")
    assert "tag: v1.2.3" in pushed(place.folder, "--format=%d", "--max-count=1")


@contextmanager
def gitops(place: Place, factory: Factory) -> Iterator[None]:
    """An older release is deployed."""
    (place.folder / "staging").mkdir()
    text = (ROOT / "manifests" / "gitops" / "argocd.yaml").read_text().replace(RELEASE, "0.0.1")
    (place.folder / "staging" / f"{NAME}.yaml").write_text(text)
    make_repository(place.folder)
    place.link_checkout()
    place.environment = {"LATENCY": "60000"}
    with deployed("1.2.3") as (_, url):
        place.changes = {"https://staging.prices.example.com": url}
        yield
    assert pushed(place.folder, "--format=%s") == "Deploy 1.2.3 to staging\nBegin\n"


@contextmanager
def logs_and_traces(place: Place, factory: Factory) -> Iterator[None]:
    """Run the commands with a local server in place of the pod, and with one that has an administrator."""
    (place.folder / "bin").mkdir()
    (place.folder / "bin" / "kubectl").write_text(KUBECTL)
    (place.folder / "bin" / "kubectl").chmod(0o755)
    place.environment = {"PREDICTOR_ADMIN_TOKEN": TOKEN}
    with (
        start_predictor(diabetes_model(), log_ratio=1) as pod,
        start_predictor(admin_token=TOKEN) as administered,
    ):
        (place.folder / "pod.log").symlink_to(pod.log)
        place.ports = {"Lines of requests": pod.port, "": administered.port}
        yield


@contextmanager
def monitoring(place: Place, factory: Factory) -> Iterator[None]:
    """A server has had 300 requests; feedback about a champion has moved."""
    place.link_checkout()
    bucket = place.folder / "bucket"
    register_models(factory, bucket / "registry", MODEL)
    record_feedback(bucket / "feedback", TRAINED[:400] + 2.0, np.full(400, 2.0))
    place.changes = {"s3://bucket": str(bucket), "DIR": str(bucket / "registry" / "models" / NAME / "1")}
    with start_predictor(diabetes_model()) as server, server.http as client:
        for value in (*np.linspace(-0.09, 0.17, 297), 0.3, 0.3, 0.3):
            assert client.post("/stream", json={"instance": value}).status_code == 200
        wait_until(
            lambda: [one["rows"] for one in client.get("/drift").json()["columns"]] == [300, 300],
            what="all rows",
        )
        place.ports = {"": server.port}
        yield
    (data,) = (bucket / "data").iterdir()
    assert pq.read_metadata(data).num_rows == 400
    labels = pq.read_table(bucket / "feedback" / "truths").to_pylist()
    assert {label["_id"] for label in labels} == {"many", "order-17", "order-18", "a", "b", "sensor-3"}


@contextmanager
def serving(place: Place, factory: Factory) -> Iterator[None]:
    yield
    key = place.printed[1].strip()
    with start_predictor(auth="required", api_keys=place.folder / "keys") as server, server.http as client:
        for headers, status in (({"x-api-key": key}, 200), ({"x-api-key": "another"}, 401)):
            assert client.post("/stream", json={"instance": 1.0}, headers=headers).status_code == status


@contextmanager
def supply_chain(place: Place, factory: Factory) -> Iterator[None]:
    yield
    private, public = (place.folder / f"{name}.pem" for name in ("private", "public"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL_SIGNING_KEY", str(private))
        register_models(factory, place.folder / "registry", linear_model())
    folder = place.folder / "registry" / "models" / NAME / "1"
    with start_predictor(folder, signatures="require", signature_key=public) as server, server.http as client:
        wait_until(lambda: client.get("/v2/health/ready").status_code == 200, what="a good signature")


@contextmanager
def training(place: Place, factory: Factory) -> Iterator[None]:
    place.link_checkout()
    place.changes = {"s3://bucket": str(place.folder / "bucket")}
    (place.folder / "data").mkdir()
    (place.folder / "bucket").mkdir()
    rows = load_diabetes(as_frame=True).frame
    for name, (start, stop) in zip(("01", "02"), pairwise([0, 200, 442]), strict=True):
        rows[start:stop].to_parquet(place.folder / "data" / f"2026-{name}.parquet")
    rows[:300].to_parquet(place.folder / "bucket" / "old.parquet")
    rows[300:].to_csv(place.folder / "new.csv", index=False)
    yield
    assert [f"\nVersion {number} is " in said for number, said in enumerate(place.printed, 1)] == [True] * 3


Scenario = Callable[[Place, Factory], AbstractContextManager[None]]
QUICK: dict[str, Scenario] = {
    "docs/api.md": api,
    "docs/logs-and-traces.md": logs_and_traces,
    "docs/serving.md": serving,
}
SLOW: dict[str, Scenario] = {
    "README.md": readme,
    "docs/cards.md": cards,
    "docs/delivery.md": delivery,
    "docs/gitops.md": gitops,
    "docs/monitoring.md": monitoring,
    "docs/supply-chain.md": supply_chain,
    "docs/training.md": training,
}
SCENARIOS = QUICK | SLOW


@pytest.mark.parametrize(
    "document", [*QUICK, *(pytest.param(document, marks=pytest.mark.slow) for document in SLOW)]
)
def test_commands_of_a_document_do_what_it_says(
    document: str, tmp_path: Path, tmp_path_factory: Factory
) -> None:
    place = Place(tmp_path / "here")
    place.folder.mkdir()
    commands = executed_here(document, with_stand_ins=False)
    for program in ("jq", "openssl"):
        if any(program in command.text for command in commands) and not shutil.which(program):
            pytest.skip(f"LEFT OUT: {program} is not installed")
    with SCENARIOS[document](place, tmp_path_factory):
        place.run(commands)


@pytest.mark.parametrize(
    ("printed", "shown", "equal"),
    [
        ('{"prediction":199.8307548887287}\n', '{"prediction":199.8307548887299}', True),
        ('{"prediction":199.8307548887287}\n', '{"prediction":199.83076}', False),
        ("HTTP/1.1 200 OK\r\na: b\r\n\r\n{}", "HTTP/1.1 200 OK\n…\n{}", True),
        ("13 checks passed", "14 checks passed", False),
        ("1 rows", "… rows and more", False),
    ],
)
def test_output_is_compared_up_to_what_varies(printed: str, shown: str, *, equal: bool) -> None:
    assert agree(printed, shown) is equal
