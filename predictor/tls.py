"""TLS for both ports from the same files, which may be renewed while we serve."""

import logging
import ssl
from pathlib import Path
from typing import Any

import grpc

logger = logging.getLogger(__name__)


class Tls:
    """The server's certificate and its key, and the authority that clients' certificates must come from.

    Args:
        certificate: a file of PEM certificates, the server's own first. key: the file of its private key.
        clients: a file of PEM certificates of authorities; where it is given, a client without a certificate
        from one of them is refused in the handshake.

    Raises:
        OSError: a file can't be read.
        ssl.SSLError: it holds no certificate, or another one's key.
    """

    def __init__(self, certificate: Path, key: Path, clients: Path | None = None) -> None:
        self.certificate = certificate
        self.key = key
        self.clients = clients
        self._contexts: list[ssl.SSLContext] = []
        self._seen = self._stamp()
        self._check()

    def for_http(self, _config: object = None, _default: object = None) -> ssl.SSLContext:
        """A context for uvicorn, as its ``ssl_context_factory`` makes it."""
        context = self._check()
        self._contexts.append(context)
        return context

    def for_grpc(self) -> grpc.ServerCredentials:
        """Credentials for gRPC, which reads the files again at a handshake after they changed."""
        given = self._configuration()
        seen = self._seen

        def renewed() -> Any:
            nonlocal seen
            if seen == self._seen:
                return None
            seen = self._seen
            return self._configuration()

        required = self.clients is not None
        return grpc.dynamic_ssl_server_credentials(given, renewed, require_client_authentication=required)

    def refresh(self) -> None:
        """Read the files again if they changed; where they can't be used, those before stay."""
        try:
            seen = self._stamp()
            if seen == self._seen:
                return
            self._check()
            for context in self._contexts:
                self._load(context)
            self._seen = seen
            logger.info("the certificate was renewed")
        except OSError as error:  # ssl.SSLError is one
            logger.error("the certificate is as before: %s: %s", self.certificate, error)

    def _check(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._load(context)
        return context

    def _load(self, context: ssl.SSLContext) -> None:
        context.load_cert_chain(self.certificate, self.key)
        if self.clients:
            context.load_verify_locations(self.clients)
            context.verify_mode = ssl.CERT_REQUIRED

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        pair = (self.key.read_bytes(), self.certificate.read_bytes())
        return grpc.ssl_server_certificate_configuration(
            [pair], root_certificates=self.clients.read_bytes() if self.clients else None
        )

    def _stamp(self) -> tuple[tuple[int, int], ...]:
        files = (self.certificate, self.key, *([self.clients] if self.clients else []))
        return tuple((status.st_mtime_ns, status.st_ino) for status in (file.stat() for file in files))
