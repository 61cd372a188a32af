"""Every setting of the predictor, in one place: from the environment, with the prefix ``PREDICTOR_``.

``PREDICTOR_MODEL_DIR=/mnt/models`` is the same as ``--model_dir /mnt/models``; a flag wins. KServe's own flags
(``--http_port``, ``--grpc_port``, ``--model_name``, ``--ssl_certfile``, ``--timeout-keep-alive``, ...) keep their
meaning. Nothing is read when a module is imported.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseSettings):
    """What can be set, with its default."""

    model_config = SettingsConfigDict(env_prefix="PREDICTOR_", extra="ignore")

    model_dir: Path = Path("/mnt/models")
    """The model folder."""

    model_version: str | None = None
    """The version's label in metadata and metrics; by default the folder's name where that is a number."""

    admin_token: SecretStr | None = None
    """Opens the log of requests and KServe's repository API; without it they do not exist."""

    request_log_size: Positive = 256
    """Requests that ``GET /log`` remembers."""

    max_body_bytes: Positive = 32 * 2**20
    """The longest body, as sent and as decompressed; a longer one is refused with 413 before it is read."""

    max_record_bytes: Positive = 2**20
    """The longest record of an NDJSON stream."""

    read_seconds: Seconds = 30
    """How long a body may take to arrive; records of a stream may take for ever."""
