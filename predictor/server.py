"""Putting it together: the model, KServe's application and gRPC server, and our way in, in one process."""

import argparse
import asyncio
import logging

import uvicorn
import uvloop
from kserve import ModelRepository
from kserve.model_server import app as kserve_app
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.grpc.server import GRPCServer
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.protocol.rest.server import RESTServer

from predictor.asgi import Layer
from predictor.model import ServedModel
from predictor.pages import Site
from predictor.request_log import RequestLog
from predictor.routes import Routes
from predictor.served import Served
from predictor.settings import Settings

logger = logging.getLogger(__name__)


class Predictor:
    """A server of one model."""

    def __init__(self, options: argparse.Namespace, settings: Settings) -> None:
        self.options = options
        self.settings = settings
        self.served = Served(options.model_name, settings.model_dir, settings.model_version)

    def run(self) -> None:
        """Serve until a signal ends it."""
        self.served.load()
        uvloop.run(self._serve())

    async def _serve(self) -> None:
        repository = ModelRepository()
        repository.update(ServedModel(self.served))
        plane, extension = DataPlane(repository), ModelRepositoryExtension(repository)
        RESTServer(kserve_app, plane, extension, self.options.http_port).create_application()
        log = RequestLog(self.settings.request_log_size) if self.settings.admin_token else None
        layer = Layer(kserve_app, Routes(self.served, Site(self.served), log), self.settings)
        http = uvicorn.Server(
            uvicorn.Config(
                layer,
                host="0.0.0.0",  # noqa: S104  a pod's port is opened to its Service
                port=self.options.http_port,
                log_config=None,
                access_log=False,
                ws="none",
                http="httptools",
                timeout_keep_alive=self.options.timeout_keep_alive,
                ssl_certfile=self.options.ssl_certfile,
                ssl_keyfile=self.options.ssl_keyfile,
            )
        )
        grpc = GRPCServer(self.options.grpc_port, plane, extension, kwargs=vars(self.options))
        serving_grpc = (
            asyncio.create_task(grpc.start(self.options.max_threads)) if self.options.enable_grpc else None
        )
        await http.serve()
        if serving_grpc:
            await grpc.stop()
            await serving_grpc
