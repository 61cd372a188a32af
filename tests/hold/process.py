"""A predictor in a process of its own, with a model whose answers are known."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from predictor.model import artifact
from tests.benchmarks.servers import free_port
from tests.fuzz.__main__ import MODELS, model
from tests.hold.balancer import is_right

ROOT = Path(__file__).parents[2]
MEMORY = 256 * 2**20
"""Bytes that connections and bodies may take beside what the idle process has."""


class Predictor:
    """A predictor in a process of its own."""

    def __init__(self, stack: contextlib.ExitStack, **settings: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        place = Path(self.folder.name) / "7"
        artifact.write(model(*MODELS[0]), place)
        self.port, grpc_port = free_port(), free_port()
        command = [sys.executable, "-m", "predictor", "--model_dir", str(place)]
        command += ["--http_port", str(self.port), "--grpc_port", str(grpc_port)]
        # Opening and using thousands of connections one by one may take longer than they may be idle.
        command += ["--timeout-keep-alive", "3600"]
        environment = os.environ | {f"PREDICTOR_{name.upper()}": value for name, value in settings.items()}
        self.process = subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.DEVNULL)
        stack.callback(self.process.kill)
        while not self._answers():
            time.sleep(0.05)

    def memory(self) -> int:
        """The resident bytes of the process."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def end(self) -> int:
        """End it as a cluster does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(120)
        self.folder.cleanup()
        return code

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError("the predictor ended at once")
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=60) as wire:
                return is_right(wire)
        except OSError:
            return False
