"""TLS for both ports, from files that may be renewed while the server runs."""

import logging
import ssl
from pathlib import Path
from typing import Any

import grpc

logger = logging.getLogger(__name__)


class Tls:
    """The server's certificate and private key, and the CA that client certificates must come from.

    Args:
        certificate: a PEM file with the certificate chain, the server's own first.
        key: a PEM file with the private key.
        client_ca: a PEM file of CA certificates; if given, clients without a certificate from one of them are
            refused in the handshake.

    Attributes:
        expires: when the certificate does, in seconds since 1970.

    Raises:
        OSError: a file can't be read.
        ssl.SSLError: a file has no certificate, or the key belongs to another one.
    """

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None = None) -> None:
        self.certificate = certificate
        self.key = key
        self.client_ca = client_ca
        self._contexts: list[ssl.SSLContext] = []
        self.expires = 0.0
        self._loaded_stamp = self._stamp()
        self._make_context()
        self._read_expiry()

    def for_http(self, _config: object = None, _default: object = None) -> ssl.SSLContext:
        """Return a context for uvicorn, which :meth:`refresh` updates."""
        context = self._make_context()
        self._contexts.append(context)
        return context

    def for_grpc(self) -> grpc.ServerCredentials:
        """Return credentials for gRPC, which asks at each handshake whether the files have changed."""
        initial, used_stamp = self._grpc_configuration(), self._loaded_stamp

        def renewed() -> Any:
            nonlocal used_stamp
            if used_stamp == self._loaded_stamp:
                return None
            used_stamp = self._loaded_stamp
            return self._grpc_configuration()

        return grpc.dynamic_ssl_server_credentials(
            initial, renewed, require_client_authentication=self.client_ca is not None
        )

    def refresh(self) -> None:
        """Read the files again if they changed; if they are unusable, keep the previous certificate."""
        try:
            stamp = self._stamp()
            if stamp == self._loaded_stamp:
                return
            self._make_context()
            for context in self._contexts:
                self._load(context)
            self._loaded_stamp = stamp
            self._read_expiry()
            logger.info("renewed the certificate")
        except OSError as error:  # ssl.SSLError is one
            logger.error("keeping the previous certificate: %s: %s", self.certificate, error)

    def _make_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._load(context)
        return context

    def _load(self, context: ssl.SSLContext) -> None:
        context.load_cert_chain(self.certificate, self.key)
        if self.client_ca:
            context.load_verify_locations(self.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED

    def _read_expiry(self) -> None:
        # Imported only if needed: it takes memory.
        from cryptography import x509

        certificate = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        self.expires = certificate.not_valid_after_utc.timestamp()

    def _grpc_configuration(self) -> grpc.ServerCertificateConfiguration:
        pair = (self.key.read_bytes(), self.certificate.read_bytes())
        return grpc.ssl_server_certificate_configuration(
            [pair], root_certificates=self.client_ca.read_bytes() if self.client_ca else None
        )

    def _stamp(self) -> tuple[tuple[int, int], ...]:
        """Return what changes when a file is replaced or written: its time of modification and its inode."""
        files = (self.certificate, self.key, *([self.client_ca] if self.client_ca else []))
        return tuple((status.st_mtime_ns, status.st_ino) for status in (file.stat() for file in files))
