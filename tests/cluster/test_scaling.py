"""The autoscaler adds pods under load and removes them afterwards, and no request fails."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.cluster.installers import NAME, NAMESPACE, Installer, Settings
from tests.cluster.kube import get, is_ready, wait_for
from tests.cluster.load import Load
from tests.cluster.service import Service, X

CLIENTS = 4
ROWS = 50_000


@contextmanager
def batch_load(service: Service) -> Iterator[list[Load]]:
    """Keep the pods busy with batches from several clients.

    Bodies are sent in chunks: a gateway written in Go, such as Traefik, sometimes cuts a long response to a
    request with a Content-Length (https://github.com/golang/go/issues/40747).
    """
    body = json.dumps({"instances": [[X]] * ROWS}).encode()
    predictions = ",".join([repr(service.predictions["1"])] * ROWS)
    expected = f'{{"predictions":[{predictions}]}}'.encode()
    clients = [
        Load(service.ingress, service.host, "/batch", body, lambda content: content == expected, chunked=True)
        for _ in range(CLIENTS)
    ]
    with ExitStack() as stack:
        yield [stack.enter_context(client) for client in clients]


def test_autoscaler_reaches_its_maximum_and_returns_without_failed_requests(
    installed: Settings, installer: Installer, service: Service
) -> None:
    settings = installed.replace(maximum=3)
    installer.apply(settings)

    def ready_pods() -> int:
        return sum(map(is_ready, service.pods()))

    assert ready_pods() == settings.minimum
    with service.load("1", pause=0.005) as steady:
        with batch_load(service) as batches:
            wait_for("the most pods", lambda: ready_pods() == settings.maximum, 300)
        wait_for("the fewest pods", lambda: len(service.pods()) == settings.minimum, 300)
    for load in (steady, *batches):
        assert load.sent > 0
        load.assert_no_failures()
    assert get("-n", NAMESPACE, "hpa", NAME)["status"]["currentReplicas"] == settings.minimum
