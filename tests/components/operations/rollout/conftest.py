"""A cluster in memory that behaves as Kubernetes and KServe do, and jobs that die at any of their writes."""

import json
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from itertools import cycle, islice
from typing import Any

import pytest

from components.data.probes import Probes
from components.operations.rollout.errors import ApiError
from components.operations.rollout.journal import Journal
from components.operations.rollout.judge import Answer, Exchange
from components.operations.rollout.lease import Lease
from components.operations.rollout.pods import SOURCE
from components.operations.rollout.predictor import Predictor
from components.operations.rollout.probes import Rows
from components.operations.rollout.release import VERSION
from components.operations.rollout.routes import Routes
from components.operations.rollout.site import Site
from components.registry.index import CHAMPION, Version
from components.registry.registry import Registry

Object = dict[str, Any]
NAMES = ("lr", "lr-canary")
PROBES = Probes(rows=((0.0,), (0.5,), (1.0,)), answers=(1.0, 2.0, 3.0), deviation=1.0)
EDGES = (0.01, 0.1, 1.0)


def copied(item: Any) -> Any:
    """Return a deep copy; ``copy.deepcopy`` takes ten times as long."""
    return pickle.loads(pickle.dumps(item))


class Killed(BaseException):
    """The job's process is dead."""


class Process:
    """A job's process: it counts its writes, and dies before or after one of them if told to."""

    def __init__(self) -> None:
        self.writes = 0
        self.dies_before = 0
        self.dies_after = 0
        self.dead = False

    def write(self, act: Callable[[], Any]) -> Any:
        self.check_alive()
        self.writes += 1
        self.dead = self.writes == self.dies_before
        self.check_alive()
        result = act()
        self.dead = self.writes == self.dies_after
        self.check_alive()
        return result

    def check_alive(self) -> None:
        if self.dead:
            raise Killed

    def restart(self) -> None:
        self.writes = self.dies_before = self.dies_after = 0
        self.dead = False


class FakeClock:
    """A clock that advances by sleeping, and calls `on_sleep` each time."""

    def __init__(self, process: Process) -> None:
        self.seconds = 1000.0
        self.process = process
        self.on_sleep: Callable[[], None] = lambda: None

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.process.check_alive()
        self.seconds += seconds
        self.on_sleep()
        self.process.check_alive()


class FakeCluster:
    """Objects by path; pods follow their InferenceService at once, or never become ready."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.never_ready: set[str] = set()
        self.objects: dict[str, Object] = {}
        self.pods: dict[str, list[Object]] = {name: [] for name in NAMES}
        self.events: list[str] = []
        self.history: list[tuple[int, str]] = []
        for name in NAMES:
            self.objects[f"inferenceservices/{name}"] = self._item({"predictor": {"model": {}}})
        weights = {"lr": 100, "lr-canary": 0}
        rule = {"backendRefs": [{"name": f"{name}-predictor", "weight": w} for name, w in weights.items()]}
        self.objects["httproutes/lr"] = self._item({"rules": [copied(rule), copied(rule)]})
        self.objects["grpcroutes/lr"] = self._item({"rules": [copied(rule)]})
        self.objects["leases/lr-rollout"] = self._item({})
        self.objects["configmaps/lr-decisions"] = self._item({})
        self.objects["leases/lr-rollout"]["metadata"]["annotations"] = {"linear-regressor/owner": "job"}

    def get(self, path: str) -> Object:
        self.process.check_alive()
        key = self._key(path)
        if key.startswith("pods?"):
            return {"items": copied(self.pods[key.rpartition("=")[2]])}
        if key not in self.objects:
            raise ApiError(404, f"no {key}")
        return copied(self.objects[key])

    def post(self, path: str, item: Object) -> Object:
        self.events.append(f"{item['reason']}: {item['message']}")
        return item

    def patch(self, path: str, change: Object | list[Object]) -> Object:
        result: Object = self.process.write(lambda: self._patch(self._key(path), change))
        return result

    def renew(self) -> None:
        """Renew the lease, as its holder does at intervals."""
        meta = self.objects["leases/lr-rollout"]["metadata"]
        meta["resourceVersion"] = str(int(meta["resourceVersion"]) + 1)

    def weights(self) -> set[int]:
        return {
            rule["backendRefs"][1]["weight"]
            for route in ("httproutes/lr", "grpcroutes/lr")
            if route in self.objects
            for rule in self.objects[route]["spec"]["rules"]
        }

    def progress(self) -> str:
        annotations = self.objects["httproutes/lr"]["metadata"].get("annotations", {})
        return str(annotations.get("linear-regressor/rollout", ""))

    def served(self, name: str = "lr") -> set[str]:
        """The versions served by ready pods."""
        return {p["metadata"]["annotations"][VERSION] for p in self.pods[name] if _is_ready(p)}

    def _patch(self, key: str, change: Object | list[Object]) -> Object:
        item = self.objects[key]
        if isinstance(change, list):
            for operation in change:
                _apply(item, operation)
        else:
            version = change.get("metadata", {}).get("resourceVersion")
            if version not in (None, item["metadata"]["resourceVersion"]):
                raise ApiError(409, "the object has changed")
            _merge(item, change)
        item["metadata"]["resourceVersion"] = str(int(item["metadata"]["resourceVersion"]) + 1)
        kind, _, name = key.partition("/")
        if kind == "inferenceservices":
            self._roll(name)
        if kind == "httproutes":
            self.history.append((max(self.weights()), self.progress()))
        return copied(item)

    def _roll(self, name: str) -> None:
        service = self.objects[f"inferenceservices/{name}"]
        annotations = service["metadata"]["annotations"]
        made_for = {**annotations, SOURCE: service["spec"]["predictor"]["model"]["storageUri"]}
        ready = annotations[VERSION] not in self.never_ready
        old = [pod for pod in self.pods[name] if _is_ready(pod)]
        new = [_pod(f"{name}-{annotations[VERSION]}-{i}", made_for, ready=ready) for i in range(2)]
        same = ready or {pod["metadata"]["annotations"][VERSION] for pod in old} == {annotations[VERSION]}
        self.pods[name] = new if same else [*old, new[0]]
        counts = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
        self.objects[f"deployments/{name}-predictor"] = {
            "metadata": {"generation": 1},
            "spec": {"replicas": 2, "template": {"metadata": {"annotations": made_for}}},
            "status": {"observedGeneration": 1, **(counts if same else {**counts, "replicas": 3})},
        }

    @staticmethod
    def _key(path: str) -> str:
        return "/".join(path.rsplit("/", 2)[1:]) if "?" not in path else path.partition("namespaces/ns/")[2]

    @staticmethod
    def _item(spec: Object) -> Object:
        return {"metadata": {"resourceVersion": "1"}, "spec": spec}


class FakeIndex:
    """The registry's index in memory, as far as a rollout uses it."""

    shared = False

    def __init__(self, process: Process) -> None:
        self.process = process
        self.versions = {
            n: Version(n, {"digest": f"digest-{n}", "probes": PROBES.to_json()}, 0.0) for n in range(1, 10)
        }
        self.pointed = {CHAMPION: 1}

    def exclusive(self) -> Any:
        return nullcontext()

    def aliases(self) -> Mapping[str, int]:
        self.process.check_alive()
        return dict(self.pointed)

    def version(self, number: int) -> Version:
        return self.versions[number]

    def find(self, number: int) -> Version | None:
        return self.versions.get(number)

    def latest(self, count: int = 100) -> list[Version]:
        return sorted(self.versions.values(), key=lambda version: -version.number)[:count]

    def tag(self, number: int, key: str, value: str) -> None:
        self.process.write(lambda: self._tag(number, key, value))

    def point(self, alias: str, number: int) -> None:
        self.process.write(lambda: self.pointed.__setitem__(alias, number))

    def _tag(self, number: int, key: str, value: str) -> None:
        old = self.versions[number]
        self.versions[number] = Version(number, {**old.tags, key: value}, old.created)


class FakeFolders:
    """The URIs of the versions; a rollout reads and writes no folder."""

    def uri(self, number: int) -> str:
        return f"s3://bucket/models/lr/{number}"


class World:
    """The cluster, the registry and the clock, which outlive every job."""

    def __init__(self) -> None:
        self.process = Process()
        self.clock = FakeClock(self.process)
        self.cluster = FakeCluster(self.process)
        self.index = FakeIndex(self.process)
        self.registry = Registry(self.index, FakeFolders())  # type: ignore[arg-type]
        # What a version answers to every probe, by version; the recorded answers by default.
        self.answers: dict[str, Answer] = {}
        # Milliseconds that a version's answers take; 20 by default.
        self.milliseconds: dict[str, float] = {}
        self.rate = 20.0
        self.counts_requests = True
        self.pings = False
        self.site()
        self.serve(1)

    def site(self) -> Site:
        """Start a new job."""
        self.process.restart()
        stable, canary = (Predictor(self.cluster, self, "ns", name) for name in NAMES)  # type: ignore[arg-type]
        lease = Lease(self.cluster, "ns", "lr", self.clock)  # type: ignore[arg-type]
        return Site(
            stable=stable,
            canary=canary,
            routes=Routes(self.cluster, "ns", *NAMES),  # type: ignore[arg-type]
            lease=lease,
            registry=self.registry,
            journal=Journal(self.cluster, "ns", "lr", self.registry, lease.identity),  # type: ignore[arg-type]
            prober=self,
            clock=self.clock,  # type: ignore[arg-type]
        )

    def serve(self, number: int, name: int = 0) -> None:
        """Serve a version without a rollout."""
        site = self.site()
        release = site.release(self.index.version(number))
        (site.stable, site.canary)[name].serve(release)

    def champion(self) -> int:
        return self.index.pointed[CHAMPION]

    def decision(self, kind: str) -> Object:
        """Return the last decision of a kind, as the pods read it."""
        return dict(json.loads(self.cluster.objects["configmaps/lr-decisions"]["data"][f"{kind}.json"]))

    def make_champion(self, number: int) -> None:
        self.index._tag(number, "previous_champion", str(self.champion()))
        self.index.pointed[CHAMPION] = number

    def outcome(self, number: int) -> str:
        return str(json.loads(self.index.version(number).tags.get("rollout", "{}")).get("outcome", ""))

    def ask(
        self, pod: Any, method: str, path: str, body: Any = None, timeout: float = 5
    ) -> tuple[int, bytes]:
        """Return what a pod answers to ``GET /``, ``/ping`` and ``/metrics``."""
        if path == "/ping":
            return (200, b"pong") if self.pings else (0, b"")
        if path == "/metrics":
            return 200, self._metrics(pod.made_for.version).encode()
        report = {
            "version": pod.made_for.version,
            "digest": pod.made_for.digest,
            "features": [{"minimum": 0.0, "maximum": 1.0}],
        }
        return 200, json.dumps(report).encode()

    def _metrics(self, version: str) -> str:
        """The counts of a pod that answers ten requests a second, besides the probes."""
        if not self.counts_requests:
            return ""
        count = int(self.clock.now() * (10 + self.rate) / 2)
        seconds = self.milliseconds.get(version, 20.0) / 1000
        code = self.answers[version].status if version in self.answers else 200
        within = [count if seconds <= edge else 0 for edge in EDGES]
        metrics = [f'predictor_requests_total{{endpoint="stream",code="{code}"}} {count}']
        metrics += [
            f'predictor_request_duration_seconds_bucket{{endpoint="stream",le="{edge}"}} {inside}'
            for edge, inside in zip((*EDGES, "+Inf"), (*within, count), strict=True)
        ]
        metrics += [f'predictor_request_duration_seconds_sum{{endpoint="stream"}} {count * seconds}']
        return "\n".join(metrics)

    @contextmanager
    def running(self, stable: Rows, canary: Rows) -> Iterator["World"]:
        """Probe at a constant rate of the clock."""
        self._since, self._rows = self.clock.now(), len(canary)
        yield self

    def aim(self, stable: Any, canary: Any) -> None:
        """Remember the version that the probes ask."""
        self._version = canary[0].made_for.version if canary else ""

    def exchanges(self) -> list[Exchange]:
        """Return the exchanges so far."""
        count = int((self.clock.now() - self._since) * self.rate)
        every_row = [self._exchange(row) for row in range(self._rows)]
        return [*islice(cycle(every_row), count)]

    def _exchange(self, row: int) -> Exchange:
        right = Answer(200, PROBES.answers[row % len(PROBES.rows)])
        return Exchange(row, self.answers.get("1", right), self.answers.get(self._version, right))


@pytest.fixture
def world() -> World:
    """Version 1 is the champion, and served by two pods."""
    return World()


def _pod(name: str, annotations: Mapping[str, str], *, ready: bool) -> Object:
    status = {"podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": str(ready)}]}
    return {"metadata": {"name": name, "annotations": dict(annotations)}, "status": status}


def _is_ready(pod: Object) -> bool:
    return bool(pod["status"]["conditions"][0]["status"] == "True")


def _merge(item: Object, change: Object) -> None:
    for key, value in change.items():
        if value is None:
            item.pop(key, None)
        elif isinstance(value, dict):
            _merge(item.setdefault(key, {}), value)
        elif key != "resourceVersion":
            item[key] = value


def _apply(item: Any, operation: Object) -> None:
    *path, last = (part.replace("~1", "/") for part in operation["path"].split("/")[1:])
    for part in path:
        item = item[int(part)] if isinstance(item, list) else item[part]
    if operation["op"] == "test":
        assert item[last] == operation["value"]
    elif operation["op"] == "remove":
        del item[last]
    else:
        item[last] = operation["value"]
