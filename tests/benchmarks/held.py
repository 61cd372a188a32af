"""How long a thread of the predictor that reads the worst form of a body keeps the event loop waiting.

Both share the interpreter's lock. Processor time is measured, so other work on the machine does not matter.
"""

import gc
from collections.abc import Iterator
from urllib.parse import urlsplit

from predictor.endpoints.routing import Routes
from predictor.grpc.health import INFERENCE
from predictor.grpc.methods import methods
from predictor.messages import Handler, Request, RequestHeaders
from predictor.model.handle import ModelHandle
from predictor.service.inference import InferenceService
from predictor.settings import Settings
from predictor.web.site import Site
from tests.benchmarks.bench import Bench
from tests.benchmarks.locks import Work, longest_wait
from tests.support.server import NAME
from tests.support.worst import FORMS, Form, write_worst_model
from tests.support.worst.form import GRPC

SIZES = (2**20, 9 * 2**20)
_ALLOWED_MS = 100
_TRIES = 3
_SHOWN = 12


def by_forms(bench: Bench) -> None:
    """A row for each size: the longest wait of all forms. Lines before it name those that wait longest."""
    handle = ModelHandle(NAME, write_worst_model(bench.folder / "held" / "1"))
    handle.load()
    service = InferenceService(handle, Settings())
    gc.collect()
    gc.freeze()  # as the server does
    for size in SIZES:
        waits = sorted(
            ((longest_wait(work, _TRIES)[0] * 1e3, form.name) for form, work in works(service, size)),
            reverse=True,
        )
        for milliseconds, name in waits[:_SHOWN]:
            print(f"# {milliseconds:.1f} ms: {name}")
        name = f"processor ms that a thread holds the lock, {size / 2**20:g} MiB"
        bench.limit(name, waits[0][0], _ALLOWED_MS)


def works(service: InferenceService, size: int) -> Iterator[tuple[Form, Work]]:
    """Yield the forms of one request, and what answers each in a thread."""
    routes = Routes(service, Site(service.handle))
    infer = methods(service)[INFERENCE]["ModelInfer"].handler

    def work(handler: Handler, body: bytes, headers: RequestHeaders) -> Work:
        return lambda: service.compute(handler, Request(headers, body))

    for form in FORMS:
        target = urlsplit(form.path)
        if form.path == GRPC:
            handler = infer
        elif form.raw or form.path == "/stream":  # whole connections, and records, are answered on the loop
            continue
        else:
            handler = routes.find(target.path, target.query.encode()).handler("POST")
        fields = {name.lower().encode(): value.encode() for name, value in form.headers.items()}
        yield form, work(handler, form.make(size), RequestHeaders.of(fields))
