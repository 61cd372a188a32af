"""Pods come with the load and go with it, and no request is lost either way."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.cluster.installers import NAME, NAMESPACE, Installer, Settings
from tests.cluster.kube import get, wait_for
from tests.cluster.load import Load
from tests.cluster.service import Service, X, is_ready

CLIENTS = 4
ROWS = 50_000


@contextmanager
def pressure(service: Service) -> Iterator[list[Load]]:
    """Clients that keep the pods busy with batches.

    In chunks: a gateway written in Go, such as Traefik, now and then cuts a long answer to a body that came
    with its length, whoever gave it (https://github.com/golang/go/issues/40747).
    """
    body = json.dumps({"instances": [[X]] * ROWS}).encode()
    predictions = ",".join([repr(service.predictions["1"])] * ROWS)
    expected = f'{{"predictions":[{predictions}]}}'.encode()
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                Load(
                    service.ingress,
                    service.host,
                    "/batch",
                    body,
                    lambda content: content == expected,
                    chunked=True,
                )
            )
            for _ in range(CLIENTS)
        ]


def test_the_autoscaler_goes_to_its_maximum_and_back_without_a_failed_request(
    installed: Settings, installer: Installer, service: Service
) -> None:
    settings = installed.but(maximum=3)
    installer.apply(settings)

    def ready() -> int:
        return sum(map(is_ready, service.pods()))

    assert ready() == settings.minimum
    with service.load("1", pause=0.005) as steady:
        with pressure(service) as batches:
            wait_for("as many pods as may be", lambda: ready() == settings.maximum, 300)
        wait_for("as few pods as may be", lambda: len(service.pods()) == settings.minimum, 300)
    for load in (steady, *batches):
        assert load.sent > 0
        assert not load.failures, f"{len(load.failures)} of {load.sent} failed: {load.failures[:5]}"
    assert get("-n", NAMESPACE, "hpa", NAME)["status"]["currentReplicas"] == settings.minimum
