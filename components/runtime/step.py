"""What every step does first in its pod: takes over credentials, and arranges for errors to be reported."""

import os
import sys
from pathlib import Path
from types import TracebackType

# Where the pod of a step has its Secret, if there is one: a file for each variable.
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
# What stands here outlives the pod's log: kubectl and Argo show it, and ``pipeline.py logs``.
MESSAGE_FILE = Path("/dev/termination-log")
MESSAGE_LENGTH = 3500


def begin(secret: Path = SECRET_FOLDER, message: Path = MESSAGE_FILE) -> None:
    """Take over the Secret's variables, and have the reason told should the step fail.

    fsspec and MLflow look for credentials in the environment. A variable that is set already stays as it is.
    """
    for name in VARIABLES:
        if (file := secret / name).is_file():
            os.environ.setdefault(name, file.read_text(encoding="utf-8").strip())
    if not message.is_file():
        return
    tell = sys.excepthook

    def leave(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        text = f"{kind.__name__}: {error}"
        message.write_bytes(text.encode(errors="replace")[:MESSAGE_LENGTH])
        tell(kind, error, trace)

    sys.excepthook = leave
