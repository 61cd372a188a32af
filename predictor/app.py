"""Putting it together: the model, KServe's application and gRPC service, and our ways in, in one process."""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import socket

import grpc
import uvicorn
import uvloop
from kserve.model_server import app as kserve_app
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.protocol.rest.server import RESTServer
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from predictor.errors import PredictorError
from predictor.feedback.capture import CapturingScorer
from predictor.grpc import server as grpc_server
from predictor.http.asgi import Middleware
from predictor.http.protocol import FastProtocol, protocol
from predictor.kserve_compat.model import KSERVE_STATUS, Extension, Plane, Repository
from predictor.model.handle import ModelHandle
from predictor.model.scorer import Scorer
from predictor.service.auth import JsonWebTokens
from predictor.service.inference import Service
from predictor.settings import Settings
from predictor.tls import Tls

_TOKENS_SELDOM = 30

logger = logging.getLogger(__name__)


class HttpServer(uvicorn.Server):
    """uvicorn's server, ended by us: it takes no signals of its own, and exits 0."""

    def __init__(self, config: uvicorn.Config, on_listening: Callable[[int], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start to listen, and report the port: port 0 leaves the choice to the system."""
        await super().startup(sockets)
        self._on_listening(self.servers[0].sockets[0].getsockname()[1])

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to whoever runs the server."""
        yield


class Predictor:
    """A server of one model."""

    def __init__(self, options: argparse.Namespace, settings: Settings) -> None:
        self.options = options
        self.settings = settings
        scorer = CapturingScorer if settings.feedback_url else Scorer
        self.served = ModelHandle(options.model_name, settings.model_dir, settings.model_version, scorer)
        self.served.max_rows = settings.max_rows
        self.tls = _tls(options, settings)
        self._hurry = asyncio.Event()

    def run(self) -> None:
        """Serve until a signal ends it."""
        self.served.load()
        if uvloop.run(self._serve()):
            # The interpreter would wait for them.
            logging.shutdown()
            os._exit(0)

    async def _serve(self) -> bool:
        """Serve; tells whether threads are still computing what nobody waits for any more."""
        service = Service(self.served, self.settings)
        service.register()
        repository = Repository(self.served)
        plane, extension = Plane(repository), Extension(repository)
        RESTServer(kserve_app, plane, extension, self.options.http_port).create_application()
        for kind in (HTTPException, PredictorError, *KSERVE_STATUS):
            kserve_app.add_exception_handler(kind, _refuse)
        kserve_app.add_exception_handler(Exception, _broken)
        rpc, grpc_port = None, None
        if self.options.enable_grpc:
            rpc, grpc_port = self._grpc(service, plane, extension)

        def on_listening(http_port: int) -> None:
            logger.info("serving", extra={"http_port": http_port, "grpc_port": grpc_port})

        http = self._http(service, on_listening)
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            loop.add_signal_handler(number, self._on_signal, number, ended)
        if rpc:
            await rpc.start()
        chores = [asyncio.create_task(self._sweep(http)), asyncio.create_task(self._refresh(service))]
        ending = asyncio.create_task(self._end(ended, service, http, rpc))
        await http.serve()
        await ending
        for chore in chores:
            chore.cancel()
        if service.recorder:
            await asyncio.to_thread(service.recorder.close)
        return service.workers.taken > 0

    def _http(self, service: Service, on_listening: Callable[[int], None]) -> HttpServer:
        options = self.options
        config = uvicorn.Config(
            Middleware(kserve_app, service),
            host=self.settings.host,
            port=options.http_port,
            http=protocol(service),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            backlog=4096,
            timeout_keep_alive=options.timeout_keep_alive,
            timeout_graceful_shutdown=int(self.settings.grace_seconds),
            ssl_context_factory=self.tls.for_http if self.tls else None,
        )
        return HttpServer(config, on_listening)

    def _grpc(
        self, service: Service, plane: DataPlane, extension: ModelRepositoryExtension
    ) -> tuple[grpc.aio.Server, int]:
        """Make KServe's gRPC server; returns it with the port that it is bound to."""
        options = self.options
        longest = (options.grpc_max_send_message_length, options.grpc_max_receive_message_length)
        server = grpc_server.make(service, plane, extension, options.max_threads, longest)
        return server, grpc_server.listen(server, self.settings.host, options.grpc_port, self.tls)

    def _on_signal(self, number: int, ended: asyncio.Event) -> None:
        """Begin to end; a second signal, or Ctrl-C, does not wait for endpoints to spread."""
        if ended.is_set() or number == signal.SIGINT:
            self._hurry.set()
        ended.set()
        logger.info("ending on %s", signal.Signals(number).name)

    async def _end(
        self, ended: asyncio.Event, service: Service, http: HttpServer, rpc: grpc.aio.Server | None
    ) -> None:
        """Readiness turns false first; new requests are answered until that has spread; then all finish."""
        await ended.wait()
        self.served.draining = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), self.settings.drain_seconds)
        service.ending.set()
        http.should_exit = True
        if rpc:
            await rpc.stop(self.settings.grace_seconds)

    async def _sweep(self, http: HttpServer) -> None:
        """Look after connections that keep us waiting; once a second for all is cheaper than a timer each."""
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            for connection in list(http.server_state.connections):
                if isinstance(connection, FastProtocol):
                    connection.tend(now)

    async def _refresh(self, service: Service) -> None:
        """Look at keys and certificates again, in a thread: keys may come over a network."""
        turn = 0
        while service.gate.sources or self.tls:
            await asyncio.sleep(self.settings.refresh_seconds)
            turn += 1
            if self.tls:
                await asyncio.to_thread(self.tls.refresh)
            for source in service.gate.sources:
                if not isinstance(source, JsonWebTokens) or source.missed or turn % _TOKENS_SELDOM == 0:
                    await asyncio.to_thread(source.refresh)


def _tls(options: argparse.Namespace, settings: Settings) -> Tls | None:
    """TLS by KServe's flags.

    Raises:
        ValueError: files that belong together are not all given.
        OSError: one can't be used.
    """
    certificate, key = options.ssl_certfile, options.ssl_keyfile
    if bool(certificate) != bool(key):
        raise ValueError("--ssl_certfile and --ssl_keyfile belong together")
    if not certificate:
        if settings.client_ca:
            raise ValueError("client_ca needs --ssl_certfile and --ssl_keyfile")
        return None
    return Tls(Path(certificate), Path(key), settings.client_ca)


async def _refuse(_request: Request, error: Exception) -> JSONResponse:
    """What KServe's application refuses, such as an unknown path, in the form of all errors."""
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)
    if isinstance(error, PredictorError):
        headers = {name.decode(): value.decode() for name, value in error.headers}
        return JSONResponse({"error": str(error)}, error.status, headers)
    status = next(status for kind, status in KSERVE_STATUS.items() if isinstance(error, kind))
    return JSONResponse({"error": str(error)}, status)


async def _broken(_request: Request, error: Exception) -> JSONResponse:
    """An error of our own, or a client that went away; the log says more than the client is told."""
    if not isinstance(error, ClientDisconnect):
        logger.error("a request could not be answered", exc_info=error)
    return JSONResponse({"error": "internal error"}, 500)
