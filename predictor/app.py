"""Wires the settings, the model, the service and the transports together, and runs and ends the process."""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from socket import socket

import grpc
import uvicorn
import uvloop
from prometheus_client import REGISTRY

from predictor.endpoints.routing import Routes
from predictor.errors import CannotListen
from predictor.feedback.batch_writer import BatchWriter
from predictor.feedback.recorder import Recorder
from predictor.feedback.store import open_store
from predictor.grpc import server as grpc_server
from predictor.http.asgi import Application
from predictor.http.protocol import FastProtocol, check_versions, make_protocol
from predictor.model.handle import ModelHandle
from predictor.model.signature import SignaturePolicy
from predictor.model.signer import TrustedSigner
from predictor.observability import logs
from predictor.observability.metrics import Metrics
from predictor.observability.telemetry import Telemetry
from predictor.observability.tracing import make_tracer
from predictor.service.auth import ApiKeys, Authorizer, JsonWebTokens, jwks_reader
from predictor.service.inference import InferenceService
from predictor.settings import Settings
from predictor.tls import Tls
from predictor.web.site import Site

_LOG_BYTES = 2**20
"""The lines of requests that may wait to be written; further ones are lost."""
_LOG_SECONDS, _LOG_CLOSING_SECONDS = 0.1, 1.0

_JWKS_ROUNDS = 30
"""Rounds of refreshing after which the keys of tokens are read again without a reason."""

logger = logging.getLogger(__name__)


class HttpServer(uvicorn.Server):
    """uvicorn's server without signal handlers of its own."""

    def __init__(self, config: uvicorn.Config, on_listening: Callable[[int], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start to listen, and report the port: port 0 leaves the choice to the system.

        Raises:
            CannotListen: the port is in use or not permitted.
        """
        try:
            await super().startup(sockets)
        except SystemExit:  # uvicorn has logged why
            raise CannotListen from None
        self._on_listening(self.servers[0].sockets[0].getsockname()[1])

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the caller."""
        yield


class Predictor:
    """A server of one model.

    Raises:
        ValueError: settings that contradict each other, or packages of untested versions.
        OSError: a file that the settings name can't be read.
    """

    def __init__(self, options: argparse.Namespace, settings: Settings) -> None:
        check_versions()
        self.options = options
        self.settings = settings
        self.handle = ModelHandle(
            options.model_name,
            settings.model_dir,
            settings.model_version,
            max_rows=settings.max_rows,
            signatures=make_signature_policy(settings, options.model_name),
        )
        self.tls = make_tls(options, settings)
        self.tracer = make_tracer(settings, options.model_name, tls=self.tls is not None)
        self._hurry = asyncio.Event()

    def run(self) -> None:
        """Serve until a signal ends it.

        Raises:
            CannotListen: a port is in use or not permitted.
        """
        self.handle.load()
        if uvloop.run(self._serve()):
            # Exit without joining worker threads; they may still compute results that nobody waits for.
            logging.shutdown()
            os._exit(0)

    async def _serve(self) -> bool:
        """Serve; returns whether worker threads are still busy."""
        settings, options = self.settings, self.options
        lines = BatchWriter[bytes]("log lines", logs.write_lines, _LOG_BYTES, _LOG_SECONDS)
        telemetry = Telemetry(settings.log_ratio, lambda line: lines.offer(line, len(line)), self.tracer)
        authorizer, recorder = make_authorizer(settings), make_recorder(settings)
        service = InferenceService(self.handle, settings, authorizer, recorder, telemetry)
        service.metrics.lost_log_lines = lambda: lines.rejected
        if tls := self.tls:
            service.metrics.certificate_expires = lambda: tls.expires
        REGISTRY.register(service.metrics)
        routes = Routes(service, Site(self.handle, settings.auth, feedback=service.recorder is not None))
        rpc, grpc_port = None, None
        if options.enable_grpc:
            limits = (options.grpc_max_send_message_length, options.grpc_max_receive_message_length)
            rpc = grpc_server.make(service, limits)
            grpc_port = grpc_server.listen(rpc, settings.host, options.grpc_port, self.tls)

        def on_listening(http_port: int) -> None:
            logger.info("serving", extra={"http_port": http_port, "grpc_port": grpc_port})

        http = self._http(service, routes, on_listening)
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            loop.add_signal_handler(number, self._on_signal, number, ended)
        if rpc:
            await rpc.start()
        tasks = [
            repeat("connections", 1, lambda _: self._check_connections(http), service.metrics),
            repeat("refresh", settings.refresh_seconds, partial(self._refresh, service), service.metrics),
        ]
        if settings.drift_seconds:
            tasks.append(
                repeat("drift", 1, lambda _: asyncio.to_thread(service.drift.count), service.metrics)
            )
        background = [asyncio.create_task(task) for task in tasks]
        ending = asyncio.create_task(self._end(ended, service, http, rpc))
        await _run(http, rpc)
        await ending
        for task in background:
            task.cancel()
        if service.recorder:
            await asyncio.to_thread(service.recorder.close)
        if self.tracer:
            self.tracer.close()
        lines.close(_LOG_CLOSING_SECONDS)
        return service.executor.jobs > 0

    def _http(
        self, service: InferenceService, routes: Routes, on_listening: Callable[[int], None]
    ) -> HttpServer:
        config = uvicorn.Config(
            Application(service, routes),
            host=self.settings.host,
            port=self.options.http_port,
            http=make_protocol(service, routes),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # it would believe whatever comes from loopback
            backlog=4096,
            timeout_keep_alive=self.options.timeout_keep_alive,
            timeout_graceful_shutdown=int(self.settings.grace_seconds),
            ssl_context_factory=self.tls.for_http if self.tls else None,
        )
        return HttpServer(config, on_listening)

    def _on_signal(self, number: int, ended: asyncio.Event) -> None:
        """Begin to end; a second signal, or Ctrl-C, does not wait for endpoints to spread."""
        if ended.is_set() or number == signal.SIGINT:
            self._hurry.set()
        ended.set()
        logger.info("ending on %s", signal.Signals(number).name)

    async def _end(
        self,
        ended: asyncio.Event,
        service: InferenceService,
        http: HttpServer,
        rpc: grpc.aio.Server | None,
    ) -> None:
        """Turn readiness false, answer new requests until that has spread, then finish those in progress."""
        await ended.wait()
        self.handle.draining = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), self.settings.drain_seconds)
        service.ending.set()
        http.should_exit = True
        if rpc:
            await rpc.stop(self.settings.grace_seconds)

    def _check_connections(self, http: HttpServer) -> None:
        """Close idle and stuck connections; once a second for all is cheaper than a timer for each."""
        now = time.monotonic()
        for connection in list(http.server_state.connections):
            if isinstance(connection, FastProtocol):
                connection.check_timers(now)

    async def _refresh(self, service: InferenceService, round_: int) -> None:
        """Read keys and certificates again when they change, in a thread: keys may come over a network."""
        if self.tls:
            self.tls.refresh()  # not in a thread: a handshake could see the new certificate with the old key
        for source in service.authorizer.sources:
            if (
                not isinstance(source, JsonWebTokens)
                or source.refresh_requested
                or round_ % _JWKS_ROUNDS == 0
            ):
                await asyncio.to_thread(source.refresh)


async def _run(http: HttpServer, rpc: grpc.aio.Server | None) -> None:
    """Serve HTTP until it ends; if it can't begin, stop gRPC."""
    try:
        await http.serve()
    except CannotListen:
        if rpc:
            await rpc.stop(None)
        raise


async def repeat(
    name: str, seconds: float, work: Callable[[int], Awaitable[None] | None], metrics: Metrics
) -> None:
    """Call ``work`` with the number of the round, for ever; log and count an error, and go on."""
    for round_ in count(1):
        await asyncio.sleep(seconds)
        try:
            if (pending := work(round_)) is not None:
                await pending
        except Exception:
            logger.exception("background task failed", extra={"task": name})
            metrics.task_failures[name] += 1


def make_signature_policy(settings: Settings, model_name: str) -> SignaturePolicy:
    """Return the policy for the model's signature that the settings describe.

    Raises:
        ValueError: they don't name one signer to verify.
    """
    if settings.signatures == "off":
        return SignaturePolicy()
    try:
        signer = TrustedSigner(
            settings.signature_key,
            settings.signature_identity,
            settings.signature_issuer,
            settings.signature_trust,
        )
    except ValueError as error:
        raise ValueError(
            f"PREDICTOR_SIGNATURES={settings.signatures} needs PREDICTOR_SIGNATURE_KEY, or "
            f"PREDICTOR_SIGNATURE_IDENTITY and PREDICTOR_SIGNATURE_ISSUER: {error}"
        ) from error
    return SignaturePolicy(settings.signatures, signer, settings.signature_model or model_name)


def make_authorizer(settings: Settings) -> Authorizer:
    """Return the authorizer that the settings describe."""
    sources: list[ApiKeys | JsonWebTokens] = []
    if settings.api_keys:
        sources.append(ApiKeys(settings.api_keys))
    if settings.jwks:
        read = jwks_reader(settings.jwks)
        sources.append(
            JsonWebTokens(read, settings.jwt_issuer, settings.jwt_audience, settings.jwt_algorithms)
        )
    token = settings.admin_token.get_secret_value() if settings.admin_token else None
    return Authorizer(settings.auth, token, tuple(sources))


def make_recorder(settings: Settings) -> Recorder | None:
    """Return what records predictions and ground truth, if the settings say where."""
    if settings.feedback_url is None:
        return None
    return Recorder(open_store(settings.feedback_url), settings.feedback_bytes, settings.feedback_seconds)


def make_tls(options: argparse.Namespace, settings: Settings) -> Tls | None:
    """Return TLS as KServe's flags describe it.

    Raises:
        ValueError: certificate and key are not both given.
        OSError: one of them can't be used.
    """
    certificate, key = options.ssl_certfile, options.ssl_keyfile
    if bool(certificate) != bool(key):
        raise ValueError("--ssl_certfile and --ssl_keyfile must be set together")
    if not certificate:
        if settings.client_ca:
            raise ValueError("client_ca needs --ssl_certfile and --ssl_keyfile")
        return None
    return Tls(Path(certificate), Path(key), settings.client_ca)
