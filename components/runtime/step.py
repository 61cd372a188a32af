"""Prepares a step in its pod: sets credentials, and writes its error to the termination message."""

import os
import sys
from pathlib import Path
from types import TracebackType

# The folder of the Secret in a step's pod, with a file for each variable.
SECRET_FOLDER = Path("/var/run/secrets/linear-regressor")
VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
)
# Kubernetes keeps its content longer than the log. kubectl, Argo and ``pipeline.py logs`` show it.
MESSAGE_FILE = Path("/dev/termination-log")
MESSAGE_LENGTH = 3500


def begin(secret: Path = SECRET_FOLDER, message: Path = MESSAGE_FILE) -> None:
    """Set the Secret's variables, and write an exception that ends the step to ``message``.

    fsspec and MLflow read credentials from the environment. A variable that is set already stays.
    """
    for name in VARIABLES:
        if (file := secret / name).is_file():
            os.environ.setdefault(name, file.read_text(encoding="utf-8").strip())
    if not message.is_file():
        return
    report = sys.excepthook

    def leave(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        text = f"{kind.__name__}: {error}"
        message.write_bytes(text.encode(errors="replace")[:MESSAGE_LENGTH])
        report(kind, error, trace)

    sys.excepthook = leave
