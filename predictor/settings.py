"""The settings of the predictor, read from environment variables with the prefix ``PREDICTOR_``.

``PREDICTOR_MODEL_DIR=/mnt/models`` is the same as the flag ``--model_dir /mnt/models``; the flag takes
precedence. An empty variable counts as not set. A variable with the prefix that is no setting is an error if
it resembles one. Ports, the model's name, certificates and the like are KServe's flags; see
``kserve_compat/flags.py``. ``CE_TYPE`` and ``CE_SOURCE`` are KServe's variables, those that begin with
``OTEL_`` OpenTelemetry's, and have no prefix.
"""

import difflib
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import Field, IPvAnyNetwork, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "PREDICTOR_"
_OTHERS = re.compile(
    r"PREDICTOR_(IMAGE(_NEXT|_TRACING)?|LOCK|"
    # Kubernetes sets these in every pod for a Service whose name begins with "predictor".
    r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?))"
)
"""Variables of the build and of Kubernetes that have the prefix, and are no settings."""
_RESEMBLES = 0.7
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]
AuthMode = Literal["off", "optional", "required"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LOG_LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)


class Settings(BaseSettings):
    """Every setting, with its default."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )

    model_dir: Path = Path("/mnt/models")
    """The model folder."""

    model_version: str | None = None
    """The version's label in metadata and metrics; defaults to the folder's name if that is a number."""

    host: str = "127.0.0.1"
    """The address that HTTP and gRPC listen on. The image sets 0.0.0.0."""

    log_level: LogLevel = "INFO"
    """The lowest level of log lines that are written."""

    log_ratio: Annotated[float, Field(ge=0, le=1)] = 0.01
    """The share of the requests that have a line in the log. Those that fail or are refused all have one."""

    auth: AuthMode = "off"
    """Whether predictions need a credential; ``optional`` accepts requests without one, but refuses a wrong
    one."""

    admin_token: SecretStr | None = None
    """A token that grants every scope, with access to the request log and the repository API."""

    api_keys: Path | None = None
    """A file with one API key a line: its SHA-256 in hex, a name, and comma-separated scopes."""

    jwks: str | None = None
    """The path or https URL of the JWKS document with the public keys for tokens. Plain http is only for a
    loopback address, because the keys could be replaced on the way."""

    jwt_issuer: str = ""
    """The issuer that a token must name."""

    jwt_audience: str = ""
    """The audience that a token must name."""

    jwt_algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    """The accepted signature algorithms of tokens, as a JSON list."""

    client_ca: Path | None = None
    """A file of CA certificates. If set, HTTP and gRPC clients need a certificate from one of them."""

    signatures: Literal["off", "warn", "require"] = "off"
    """Whether the model's signature is verified before it is served: ``off``, ``warn`` (what is wrong is
    logged) or ``require`` (a model without a good signature is not served)."""

    signature_key: Path | None = None
    """The public key of the signer, a PEM file."""

    signature_identity: str = ""
    """The signer's identity, if models are signed without a key: the subject of its certificate, such as
    ``https://kubernetes.io/namespaces/NAMESPACE/serviceaccounts/NAME``."""

    signature_issuer: str = ""
    """The OIDC issuer of that identity, a URL."""

    signature_trust: Path | None = None
    """The trust configuration of a private Sigstore, a JSON file. Without it the public instance is trusted,
    by the keys in the package ``sigstore``."""

    signature_model: str = ""
    """The registered model that may be served; the served model's name when empty."""

    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    """Addresses and networks of proxies whose ``X-Forwarded-For`` names the client in the audit log, such as
    ``["10.42.0.0/16"]``. Without them it names the connected peer."""

    cors_origins: tuple[str, ...] = ()
    """Origins whose web pages may read responses (CORS), such as ``["https://app.example"]``; ``["*"]`` for
    all."""

    refresh_seconds: Seconds = 10
    """How often API keys and certificates are checked for changes. The JWKS document is read again at the
    next check after a token named an unknown key, and otherwise at every thirtieth check."""

    feedback_url: str | None = None
    """Where predictions and ground truth are recorded: a folder, or a bucket such as ``s3://bucket/prefix``.
    Without it nothing is recorded."""

    feedback_bytes: Positive = 16 * 2**20
    """How many bytes may wait to be written there, of predictions and of ground truth each. Beyond it
    predictions are not recorded, and ground truth gets 503."""

    feedback_seconds: Seconds = 30
    """How long predictions may wait before they are written."""

    drift_seconds: Annotated[float, Field(ge=0)] = 3600
    """The window over which drift is measured, from a sample of the requests; 0 for none."""

    decisions_dir: Path | None = None
    """The folder with the last decisions of gate, rollout and retraining, which become metrics."""

    request_log_size: Positive = 256
    """How many requests ``GET /log`` shows. Without an administrator none are logged."""

    max_body_bytes: Positive = 32 * 2**20
    """The longest body, both as sent and as decompressed; a longer one gets 413 before it is read."""

    max_rows: Positive = 1_000_000
    """Rows in one request, for up to 8 features; fewer for more features, and a tenth for explanations. More
    get 413 before they are read."""

    max_record_bytes: Positive = 2**20
    """The longest record of an NDJSON stream."""

    max_header_bytes: Positive = 16 * 2**10
    """The longest request line and headers; longer ones get 431."""

    max_connections: Positive = 12_000
    """Open connections; a further one gets 503 and is closed."""

    max_memory_bytes: Positive = 64 * 2**20
    """Memory for all bodies in progress, responses included. Beyond it requests get 503 with Retry-After."""

    inline_bytes: Positive = 2**17
    """Bodies up to this size are processed on the event loop, longer ones in a thread."""

    workers: Positive = 1
    """Threads for large requests. They share one interpreter, so more of them make nothing faster."""

    queue: Positive = 16
    """Large requests that may wait for a thread; further ones get 503 with Retry-After."""

    queue_bytes: Positive = 8 * 2**20
    """The total size of large requests, as soon as one waits. It bounds how long a request waits."""

    head_seconds: Seconds = 10
    """How long a request's headers may take to arrive."""

    read_seconds: Seconds = 30
    """How long a body may take to arrive. A stream of records has no such limit."""

    answer_seconds: Seconds = 30
    """How long a response may take to compute; after that the request gets 504."""

    write_seconds: Seconds = 60
    """How long a client may read nothing of its response; after that the connection is closed."""

    drain_seconds: Annotated[float, Field(ge=0)] = 10
    """How long new requests are still answered after SIGTERM, while the server reports that it is not ready.
    Must be longer than the cluster takes to stop sending requests."""

    grace_seconds: Seconds = 15
    """How long requests in progress may take to finish after that."""

    ce_type: Annotated[str, Field(validation_alias="CE_TYPE")] = "io.kserve.inference.response"
    """The type of the CloudEvents that answer CloudEvents, from KServe's variable ``CE_TYPE``."""

    ce_source: Annotated[str | None, Field(validation_alias="CE_SOURCE")] = None
    """Their source, from KServe's variable ``CE_SOURCE``; by default ``io.kserve.inference.`` and the model's
    name."""

    otel_sdk_disabled: Annotated[bool, Field(validation_alias="OTEL_SDK_DISABLED")] = False
    """Whether tracing is off, whatever the other variables say."""

    otel_traces_exporter: Annotated[str | None, Field(validation_alias="OTEL_TRACES_EXPORTER")] = None
    """``otlp`` or ``none``. Without it tracing is on if an endpoint is set."""

    otel_exporter_otlp_endpoint: Annotated[
        str | None, Field(validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    ] = None
    """The URL of the collector, to which ``/v1/traces`` is added, such as ``http://collector:4318``."""

    otel_exporter_otlp_traces_endpoint: Annotated[
        str | None, Field(validation_alias="OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    ] = None
    """The whole URL for spans, in place of that."""

    otel_exporter_otlp_protocol: Annotated[str, Field(validation_alias="OTEL_EXPORTER_OTLP_PROTOCOL")] = (
        "http/protobuf"
    )
    """How spans are sent. The only protocol is ``http/protobuf``."""

    otel_service_name: Annotated[str | None, Field(validation_alias="OTEL_SERVICE_NAME")] = None
    """The name of the service in traces; the model's name by default."""

    otel_traces_sampler: Annotated[str, Field(validation_alias="OTEL_TRACES_SAMPLER")] = (
        "parentbased_always_on"
    )
    """Which traces are recorded: ``always_on``, ``always_off`` or ``traceidratio``. With ``parentbased_``
    before it, a client that sends ``traceparent`` decides about its own traces."""

    otel_traces_sampler_arg: Annotated[str, Field(validation_alias="OTEL_TRACES_SAMPLER_ARG")] = "1"
    """The ratio of ``traceidratio``, from 0 to 1."""

    @model_validator(mode="after")
    def _check_auth(self) -> Self:
        if self.auth == "required" and not (self.api_keys or self.jwks):
            raise ValueError("auth=required needs api_keys or jwks")
        url = urlsplit(self.jwks or "")
        if url.scheme == "http" and url.hostname not in _LOOPBACK:
            raise ValueError(
                "jwks must be a path or an https URL; over http the keys could be replaced on the way"
            )
        if self.jwks and not (self.jwt_issuer and self.jwt_audience):
            raise ValueError("jwks needs jwt_issuer and jwt_audience; without them any token would be valid")
        return self


_ALIASES = frozenset(field.validation_alias for field in Settings.model_fields.values())
"""The variables without the prefix."""


def load(**overrides: Any) -> Settings:
    """Read the environment; ``overrides`` take precedence.

    Raises:
        ValueError: settings are invalid, or a variable resembles a setting, so that it is most likely
            mistyped. The message has a line for each, without its value.
    """
    if mistyped := [f"unknown setting {name}; did you mean {meant}?" for name, meant in _unknown() if meant]:
        raise ValueError("\n".join(mistyped))
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise ValueError("\n".join(map(_describe, error.errors()))) from error


def unknown() -> list[str]:
    """Return the variables with the prefix that are not known to be anything."""
    return [name for name, _ in _unknown()]


def _unknown() -> list[tuple[str, str]]:
    """Return them with the settings that they resemble; empty if they resemble none."""
    names = {name.upper() for name, field in Settings.model_fields.items() if not field.validation_alias}
    found = []
    for variable, value in sorted(os.environ.items()):
        whole = variable.upper()
        name = whole.removeprefix(PREFIX)
        if value and name not in (whole, *names) and not _OTHERS.fullmatch(whole):
            nearest = difflib.get_close_matches(name, names, 1, _RESEMBLES)
            found.append((variable, f"{PREFIX}{nearest[0]}" if nearest else ""))
    return found


def _describe(error: Any) -> str:
    names = [part if part in _ALIASES else f"{PREFIX}{part.upper()}" for part in error["loc"][:1]]
    return ": ".join([*names, error["msg"].removeprefix("Value error, ")])
