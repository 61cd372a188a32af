"""Serves a registered model on this machine."""

import argparse
import json
import os
import shlex
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

from components.operations.cli.errors import CommandError
from predictor.model import artifact
from predictor.model.base import Model


def port(text: str) -> int:
    """Read a port on the command line.

    Raises:
        argparse.ArgumentTypeError: it is not a port.
    """
    if not text.isdecimal() or not 0 < int(text) < 2**16:
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to 65535, not {text!r}")
    return int(text)


def check_ports(options: argparse.Namespace) -> None:
    """Make sure that nothing listens on the ports of a command's options.

    Raises:
        CommandError: a port is in use, not permitted, or given twice.
    """
    ports = {"--port": options.port, "--grpc-port": options.grpc_port}
    if len(set(ports.values())) < len(ports):
        raise CommandError(f"{' and '.join(ports)} must be different ports, not both {options.port}")
    for option, number in ports.items():
        with socket.socket() as probe:
            # A connection that was closed a moment ago does not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", number))
            except OSError as error:
                other = number + 1000 if number < 64000 else number - 1000
                variable = option.removeprefix("--").replace("-", "_").upper()
                raise CommandError(
                    f"port {number} can't be used: {error.strerror}. Choose another one, such as "
                    f"{option} {other}, or {variable}={other} with make"
                ) from error


def usage(champion: str | Path, name: str, http_port: int) -> list[str]:
    """Return the lines for curl with which to call the predictor of a model folder."""
    model, _ = artifact.read(champion)
    low, high = _example_rows(model)
    if model.plain:
        tensors = [{"name": "instances", "shape": [2, model.width], "datatype": "FP64", "data": [low, high]}]
    else:
        tensors = [
            {"name": one.name, "shape": [2], "datatype": one.datatype, "data": list(values)}
            for one, values in zip(model.inputs, zip(low, high, strict=True), strict=True)
        ]
    base = f"http://localhost:{http_port}"
    calls = [
        ("/stream", {"instance": high}),
        ("/batch", {"instances": [low, high]}),
        (f"/v1/models/{name}:predict", {"instances": [low, high]}),
        (f"/v2/models/{name}/infer", {"inputs": tensors}),
    ]
    posts = [
        f"curl {base}{path} -d {shlex.quote(json.dumps(body, ensure_ascii=False))}" for path, body in calls
    ]
    return [*posts, f"curl {base}/v1/models/{name}"]


def _example_rows(model: Model) -> tuple[list[Any], list[Any]]:
    """Return a typical row of the training data and another one, as a client sends them."""
    low: list[Any] = []
    high: list[Any] = []
    for one, typical in zip(model.inputs, model.typical, strict=True):
        if one.type == "number":
            deviation = model.reference.features[one.name].deviation
            low.append(float(f"{typical:.3g}"))
            high.append(float(f"{typical + deviation:.3g}"))
        else:
            low.append(one.value(typical))
            high.append(one.value(one.minimum if typical == one.maximum else one.maximum))
    return low, high


def become_predictor(champion: str | Path, name: str, http_port: int, grpc_port: int) -> NoReturn:
    """Replace this process with a predictor of the model folder.

    It listens on the loopback address unless ``PREDICTOR_HOST`` names another one.
    """
    flags = {"model_name": name, "model_dir": champion, "http_port": http_port, "grpc_port": grpc_port}
    words = [word for flag, value in flags.items() for word in (f"--{flag}", str(value))]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "predictor", *words])  # noqa: S606 - our own module
