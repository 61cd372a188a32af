"""From a registered champion to a predictor on this machine."""

import json
import os
import shlex
import socket
import sys
from pathlib import Path
from typing import NoReturn

from components.commands.errors import CommandError
from predictor import artifact


def check_ports(**ports: int) -> None:
    """Make sure that nothing listens on the ports, each named by its variable of the environment.

    Raises:
        CommandError: a port is taken, may not be used, or stands twice.
    """
    if len(set(ports.values())) < len(ports):
        raise CommandError(
            f"{' and '.join(ports)} must be different ports, not both {next(iter(ports.values()))}"
        )
    for variable, port in ports.items():
        with socket.socket() as probe:
            # A connection that was closed a moment ago does not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError as error:
                raise CommandError(
                    f"port {port} can't be used: {error.strerror}. Set {variable} to another one, such as "
                    f"{variable}={port + 1000 if port < 64000 else port - 1000}"
                ) from error


def usage(champion: str | Path, name: str, port: int) -> list[str]:
    """The lines for curl with which to call the predictor of a model folder."""
    model, _ = artifact.read(champion)
    seen = [model.reference.features[feature.name] for feature in model.features]
    low = [float(f"{column.mean:.3g}") for column in seen]
    high = [float(f"{column.mean + column.deviation:.3g}") for column in seen]
    tensor = {"name": "instances", "shape": [2, len(seen)], "datatype": "FP64", "data": [low, high]}
    base = f"http://localhost:{port}"
    calls = [
        ("/stream", {"instance": high}),
        ("/batch", {"instances": [low, high]}),
        (f"/v1/models/{name}:predict", {"instances": [low, high]}),
        (f"/v2/models/{name}/infer", {"inputs": [tensor]}),
    ]
    posts = [f"curl {base}{path} -d {shlex.quote(json.dumps(body))}" for path, body in calls]
    return [*posts, f"curl {base}/v1/models/{name}"]


def become_predictor(champion: str | Path, name: str, port: int, grpc_port: int) -> NoReturn:
    """Replace this process by a predictor of the model folder."""
    flags = {"model_name": name, "model_dir": champion, "http_port": port, "grpc_port": grpc_port}
    words = [word for flag, value in flags.items() for word in (f"--{flag}", str(value))]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "predictor", *words])  # noqa: S606 - our own module
