"""Pod status from Kubernetes and from the pod, probes of pods, and the weights of routes."""

import json
from dataclasses import replace
from threading import Event
from typing import Any

import pytest

from components.data.probes import Value
from components.operations.rollout import pods
from components.operations.rollout.errors import ApiError
from components.operations.rollout.judge import Answer
from components.operations.rollout.pods import Pod
from components.operations.rollout.probes import Prober
from components.operations.rollout.release import Release
from components.operations.rollout.routes import Progress
from predictor.model.inputs import Input
from predictor.web.page import index
from tests.components.operations.rollout.conftest import World
from tests.support.models import linear_model
from tests.support.processes import wait_until
from tests.support.service import load

POD = Pod("p", "10.0.0.1", Release("1", "d", "s3://b/1/"), serving=True, ending=False, trouble="")


class Reach:
    """Gives the same answer to every request."""

    def __init__(self, status: int, content: bytes) -> None:
        self.answer = status, content

    def ask(self, *_: Any) -> tuple[int, bytes]:
        if self.answer[0] == 0:
            raise ApiError(0, "no answer")
        return self.answer


def test_a_terminating_pod_does_not_serve() -> None:
    status = {"conditions": [{"type": "Ready", "status": "True"}]}
    item: dict[str, Any] = {"metadata": {"name": "p"}, "status": status}
    assert pods.read(item).serving
    item["metadata"]["deletionTimestamp"] = "now"
    assert not pods.read(item).serving
    assert pods.read(item).ending


@pytest.mark.parametrize("group", ["initContainerStatuses", "containerStatuses"])
def test_reports_a_crashing_container_and_no_starting_one(group: str) -> None:
    crash = {
        "name": "storage-initializer",
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"message": "Traceback\nno such key"}},
    }
    item = {"metadata": {"name": "p"}, "status": {group: [crash]}}
    assert pods.read(item).trouble == "storage-initializer CrashLoopBackOff: no such key"
    crash["state"] = {"waiting": {"reason": "PodInitializing"}}
    assert not pods.read(item).trouble


@pytest.mark.parametrize(
    ("status", "content"), [(503, b'{"error": "it ends"}'), (200, b"pong"), (200, b'{"features": [{}]}')]
)
def test_reports_a_pod_that_does_not_say_what_it_serves(status: int, content: bytes) -> None:
    with pytest.raises(ApiError, match="p does not say what it serves"):
        pods.report(Reach(status, content), POD)


def test_a_pod_of_a_model_with_typed_inputs_says_what_it_serves() -> None:
    inputs = [
        Input("age", 20.0, 60.0),
        Input("member", 0.0, 1.0, type="boolean"),
        Input("city", 0.0, 1.0, type="category", categories=("Bern", "Wien")),
    ]
    model = linear_model((1.0, 2.0, (3.0, 4.0)), features=inputs)
    about = index(load(model, "d"), name="lr", version="7")
    found = pods.report(Reach(200, json.dumps(about).encode()), POD)
    assert (found.version, found.digest) == ("7", "d")
    assert found.examples == ((20.0, 30.0, 40.0, 60.0), (False, True), ("Bern", "Wien"))


@pytest.mark.parametrize(
    ("status", "content", "value"),
    [
        (200, b'{"prediction": 1.5}', 1.5),
        (200, b'{"prediction": NaN}', None),
        (200, b'{"prediction": null}', None),
        (200, b'{"prediction": "1.5"}', None),
        (200, b'{"prediction": true}', None),
        (200, b'{"prediction": -1' + 400 * b"0" + b"}", None),
        (200, b"oops", None),
        (200, b'{"predictions": [1]}', None),
        (500, b'{"prediction": 1.5}', None),
        (0, b"", None),
    ],
)
def test_probes_read_the_prediction_of_an_answer(status: int, content: bytes, value: float | None) -> None:
    with Prober(Reach(status, content), rate=1000).running([[0.0]], [[0.0]]) as probes:
        probes.aim([POD], [POD])
        wait_until(lambda: len(probes.exchanges()) >= 20)
    for exchange in probes.exchanges():
        assert repr(exchange.canary.value) == repr(exchange.stable.value) == repr(value)


def test_missing_answers_delay_neither_other_probes_nor_the_end() -> None:
    asked: list[int] = []
    answered = Event()

    class Silent(Reach):
        def ask(self, *_: Any) -> tuple[int, bytes]:
            asked.append(1)
            answered.wait()
            return self.answer

    with Prober(Silent(200, b'{"prediction": 1}'), rate=1000).running([[0.0]], [[0.0]]) as probes:
        probes.aim([POD], [POD])
        wait_until(lambda: len(asked) >= 40)
        assert not probes.exchanges()
    answered.set()


def test_a_probe_without_pods_fails() -> None:
    with Prober(Reach(200, b'{"prediction": 1}'), rate=1000).running([[0.0]], [[0.0]]) as probes:
        probes.aim([POD], [])
        wait_until(probes.exchanges)
    assert probes.exchanges()[0].canary == Answer(0)


def test_probes_ask_each_version_its_own_rows_in_turn() -> None:
    asked: dict[str, list[object]] = {"stable": [], "canary": []}

    class Listening(Reach):
        def ask(self, *arguments: Any) -> tuple[int, bytes]:
            pod, row = arguments[0], json.loads(arguments[3])["instance"]
            asked[pod.name].append(row)
            return 200, json.dumps({"prediction": row[0]}).encode()

    stable, canary = (replace(POD, name=name) for name in asked)
    rows: list[list[Value]] = [[float(number), "Bern", True] for number in range(3)]
    reach = Listening(200, b"")
    with Prober(reach, rate=1000).running([[7.0]], rows) as probes:
        probes.aim([stable], [canary])
        wait_until(lambda: len(probes.exchanges()) >= 40)
    assert {str(row) for row in asked["stable"]} == {"[7.0]"}
    assert {str(row) for row in asked["canary"]} == {str(row) for row in rows}
    assert all(exchange.canary.value == exchange.row for exchange in probes.exchanges())


def test_routes_return_the_weight_and_progress_they_were_given(world: World) -> None:
    routes = world.site().routes
    progress = Progress(Release("2", "d", "s3://b/2/"), step=1, attempts=2, deadline=5.0)
    routes.weigh(20, progress)
    assert (routes.read().weight, routes.read().progress) == (20, progress)
    assert world.cluster.weights() == {20}
    routes.weigh(0, None)
    assert (routes.read().weight, routes.read().progress) == (0, None)


def test_sets_the_weight_on_http_first_and_removes_it_there_last(world: World) -> None:
    order: list[str] = []
    patch = world.cluster._patch

    def listening(key: str, change: Any) -> Any:
        order.append(key.partition("/")[0])
        return patch(key, change)

    world.cluster._patch = listening  # type: ignore[method-assign]
    routes = world.site().routes
    routes.weigh(20, Progress(Release("2", "d", "s3://b/2/")))
    routes.weigh(0, None)
    assert order == ["httproutes", "grpcroutes", "grpcroutes", "httproutes"]


def test_sets_the_weight_without_a_grpc_route(world: World) -> None:
    del world.cluster.objects["grpcroutes/lr"]
    world.site().routes.weigh(20, Progress(Release("2", "d", "s3://b/2/")))
    assert world.site().routes.read().weight == 20
