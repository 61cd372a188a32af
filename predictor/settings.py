"""Every setting of the predictor, in one place: from the environment, with the prefix ``PREDICTOR_``.

``PREDICTOR_MODEL_DIR=/mnt/models`` is the same as ``--model_dir /mnt/models``; a flag wins. KServe's own
flags (``--http_port``, ``--grpc_port``, ``--model_name``, ``--ssl_certfile``, ``--timeout-keep-alive``, ...)
keep their meaning. Nothing is read when a module is imported.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseSettings):
    """What can be set, with its default."""

    model_config = SettingsConfigDict(
        env_prefix="PREDICTOR_", extra="ignore", use_attribute_docstrings=True, protected_namespaces=()
    )

    model_dir: Path = Path("/mnt/models")
    """The model folder."""

    model_version: str | None = None
    """The version's label in metadata and metrics; by default the folder's name where that is a number."""

    host: str = "0.0.0.0"  # noqa: S104  a pod's ports are opened to its Service
    """The address that HTTP and gRPC listen on."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least level of the log lines that are written."""

    auth: Literal["off", "optional", "required"] = "off"
    """Whether predictions need a credential; optional refuses a wrong one, but needs none."""

    admin_token: SecretStr | None = None
    """Opens the log of requests and the repository API; they do not exist where nobody can be an admin."""

    api_keys: Path | None = None
    """A file with a line for each API key: its SHA-256 in hex, a name, its scopes with commas between."""

    jwks: str | None = None
    """Where the public keys for tokens are: the path or the URL of a JWKS document."""

    jwt_issuer: str = ""
    """The issuer that a token must name."""

    jwt_audience: str = ""
    """The audience that a token must name."""

    jwt_algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    """The algorithms that a token may be signed with."""

    client_ca: Path | None = None
    """Certificates of authorities; where given, HTTP and gRPC clients need a certificate from one of them."""

    refresh_seconds: Seconds = 10
    """How often the files of API keys and certificates are looked at. A JWKS document is read again then if
    a token named a key that is not in it, and otherwise 30 times as seldom."""

    feedback_url: str | None = None
    """Where predictions and what came true are kept: a folder, or a bucket such as ``s3://bucket/prefix``.
    Nothing is kept without one."""

    feedback_bytes: Positive = 16 * 2**20
    """What may wait for that store, of predictions and of truths each; beyond it predictions are not kept,
    and truths answered 503."""

    feedback_seconds: Seconds = 30
    """How long predictions may wait until they are written."""

    request_log_size: Positive = 256
    """Requests that ``GET /log`` remembers; none without an admin token."""

    max_body_bytes: Positive = 32 * 2**20
    """The longest body, as sent and as decompressed; a longer one is refused with 413 before it is read."""

    max_rows: Positive = 1_000_000
    """Rows of one request, of up to 8 numbers each and as many fewer of wider ones; a tenth to be explained.
    More are refused with 413 before they are read."""

    max_record_bytes: Positive = 2**20
    """The longest record of an NDJSON stream."""

    max_header_bytes: Positive = 16 * 2**10
    """The longest head of a request, its path included; a longer one is refused with 431."""

    max_connections: Positive = 12_000
    """Open connections; one more is told 503 and closed."""

    max_memory_bytes: Positive = 64 * 2**20
    """What the bodies under way may take together, answers included; beyond it 503 with Retry-After."""

    inline_bytes: Positive = 2**19
    """Bodies up to this size are answered on the event loop, longer ones in a thread."""

    workers: Positive = 1
    """Threads for large requests. They share one core's worth of Python: more make none of them faster."""

    queue: Positive = 16
    """Large requests that may wait for a thread; beyond it 503 with Retry-After."""

    queue_bytes: Positive = 8 * 2**20
    """What large requests may have in all while one waits: how long it waits follows from that."""

    head_seconds: Seconds = 10
    """How long the head of a request may take to arrive."""

    read_seconds: Seconds = 30
    """How long a body may take to arrive; a stream of records may take for ever."""

    answer_seconds: Seconds = 30
    """How long an answer may take to compute; beyond it 504."""

    write_seconds: Seconds = 60
    """How long a client may take nothing of what it is sent; then its connection is cut off."""

    drain_seconds: Annotated[float, Field(ge=0)] = 10
    """How long new requests are still answered after SIGTERM, while readiness is false: longer than
    endpoints take to learn of it."""

    grace_seconds: Seconds = 15
    """How long requests under way may take to finish after that."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.auth == "required" and not (self.api_keys or self.jwks):
            raise ValueError("auth is required, but neither api_keys nor jwks says whom to let in")
        if self.jwks and not (self.jwt_issuer and self.jwt_audience):
            raise ValueError("jwks needs jwt_issuer and jwt_audience: tokens for others would be let in")
        return self
