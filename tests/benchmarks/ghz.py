"""Drives a gRPC server by ghz, which is quicker than Python's own client: https://ghz.sh"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from google.protobuf import descriptor_pb2
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from tests.support.server import NAME

MODULE = "github.com/bojand/ghz/cmd/ghz@v0.121.0"
CALLERS, CONNECTIONS = 16, 4
_METHOD = "inference.GRPCInferenceService.ModelInfer"
_TENSOR = {"name": "instances", "shape": [1, 1], "datatype": "FP64", "contents": {"fp64_contents": [0.5]}}


@cache
def find() -> str:
    """Return the path of ghz; it is built beside this Python where it is missing.

    Raises:
        SystemExit: it is missing, and Go too, or Go can't build it.
    """
    folder = Path(sys.executable).parent
    if found := shutil.which("ghz", path=f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"):
        return found
    go = shutil.which("go")
    if go is None:
        raise SystemExit(
            f"the gRPC rows need ghz, and Go to build it (go install {MODULE}): https://go.dev/dl"
        )
    print("# building ghz ...", flush=True)
    built = subprocess.run([go, "install", MODULE], env=os.environ | {"GOBIN": str(folder)}, check=False)
    if built.returncode:
        raise SystemExit(f"the gRPC rows need ghz, and go install {MODULE} failed")
    return str(folder / "ghz")


def calls(port: int, metadata: Mapping[str, str], seconds: int, folder: Path, core: str) -> int:
    """Call ModelInfer with one row for some seconds, from one core; returns how many calls were answered.

    Raises:
        RuntimeError: one was not answered with OK.
    """
    message, descriptors = folder / "message", folder / "protoset"
    message.write_bytes(pb.ModelInferRequest(model_name=NAME, inputs=[_TENSOR]).SerializeToString())
    descriptors.write_bytes(_descriptors())
    command = ["taskset", "-c", core, find(), "--insecure", "--cpus=1", "--format=json"]
    command += [f"--concurrency={CALLERS}", f"--connections={CONNECTIONS}"]
    command += [f"--duration={seconds}s", "--duration-stop=wait"]
    command += ["--disable-template-data", "--disable-template-functions"]
    command += [f"--protoset={descriptors}", f"--call={_METHOD}", f"--binary-file={message}"]
    command += [f"--metadata={json.dumps(dict(metadata))}", f"127.0.0.1:{port}"]
    return answered(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def answered(report: str) -> int:
    """Return how many calls were answered, from ghz's report in JSON.

    Raises:
        RuntimeError: one was not answered with OK, or there was none.
    """
    statuses: dict[str, int] = json.loads(report)["statusCodeDistribution"] or {}
    if set(statuses) != {"OK"}:
        raise RuntimeError(f"gRPC calls ended with {statuses}")
    return statuses["OK"]


def _descriptors() -> bytes:
    """Return the descriptors of the protocol."""
    files = descriptor_pb2.FileDescriptorSet()
    pb.DESCRIPTOR.CopyToProto(files.file.add())
    return files.SerializeToString()
