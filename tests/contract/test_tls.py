"""HTTPS and gRPC over TLS from the same files, client certificates, and their renewal."""

import datetime as dt
import ipaddress
import re
import socket
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from predictor.__main__ import main
from tests.support.processes import wait_until
from tests.support.server import NAME, Server, start_predictor


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """Makes certificates for 127.0.0.1, and for clients."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority {folder.name}")])
        self.file = folder / "ca.pem"
        ca = self._sign(self.name, self.key, x509.BasicConstraints(ca=True, path_length=None))
        self.file.write_bytes(ca)

    def pair(self, name: str) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        files = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        files.certificate.write_bytes(self._sign(subject, key, address))
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        files.key.write_bytes(secret)
        return files

    def _sign(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, extension: Any) -> bytes:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(extension, critical=False)
        )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def untrusted(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody trusts."""
    return Authority(tmp_path_factory.mktemp("other"))


@pytest.fixture(scope="module")
def flags(authority: Authority) -> tuple[str, ...]:
    pair = authority.pair("server")
    return ("--ssl_certfile", str(pair.certificate), "--ssl_keyfile", str(pair.key))


@pytest.fixture(scope="module")
def secure(flags: tuple[str, ...]) -> Iterator[Server]:
    with start_predictor(flags=flags, refresh_seconds=0.1) as running:
        yield running


@pytest.fixture(scope="module")
def mutual(flags: tuple[str, ...], authority: Authority) -> Iterator[Server]:
    with start_predictor(flags=flags, client_ca=authority.file) as running:
        yield running


def by_http(server: Server, authority: Authority, client: Pair | None = None) -> httpx.Response:
    context = ssl.create_default_context(cafile=str(authority.file))
    if client:
        context.load_cert_chain(client.certificate, client.key)
    url = f"https://127.0.0.1:{server.port}/stream"
    return httpx.post(url, json={"instance": 0.5}, verify=context, timeout=60)


def by_grpc(server: Server, authority: Authority, client: Pair | None = None) -> list[float]:
    credentials = grpc.ssl_channel_credentials(
        authority.file.read_bytes(),
        client.key.read_bytes() if client else None,
        client.certificate.read_bytes() if client else None,
    )
    tensor = {"name": "instances", "shape": [1, 1], "datatype": "FP64", "contents": {"fp64_contents": [0.5]}}
    with grpc.secure_channel(f"127.0.0.1:{server.grpc_port}", credentials) as channel:
        request = pb.ModelInferRequest(model_name=NAME, inputs=[tensor])
        answer = GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=60)
    return list(answer.outputs[0].contents.fp64_contents)


def serial(server: Server, port: int) -> int:
    """The serial number of the certificate that a port shows."""
    pem = ssl.get_server_certificate(("127.0.0.1", port), timeout=60)
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


def test_both_ports_speak_tls(secure: Server, authority: Authority, untrusted: Authority) -> None:
    assert by_http(secure, authority).json() == {"prediction": 621.125}
    assert by_grpc(secure, authority) == [621.125]
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        by_http(secure, untrusted)
    with pytest.raises(grpc.RpcError):
        by_grpc(secure, untrusted)


def test_metrics_say_when_the_certificate_expires(secure: Server, authority: Authority) -> None:
    context = ssl.create_default_context(cafile=str(authority.file))
    text = httpx.get(f"https://127.0.0.1:{secure.port}/metrics", verify=context, timeout=60).text
    told = re.search(r"^predictor_certificate_expiry_timestamp_seconds (\S+)$", text, re.MULTILINE)
    pem = ssl.get_server_certificate(("127.0.0.1", secure.port), timeout=60)
    assert told
    assert float(told[1]) == x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc.timestamp()


def test_plain_http_gets_no_answer(secure: Server) -> None:
    assert secure.exchange(b"GET /ping HTTP/1.1\r\nhost: x\r\n\r\n") in (b"", b"\x15\x03\x01\x00\x02\x02F")
    with socket.create_connection(("127.0.0.1", secure.port), timeout=60) as silent:
        silent.sendall(b"\x16\x03\x01")
        assert serial(secure, secure.port)


def test_sends_large_answers_over_tls(secure: Server, authority: Authority) -> None:
    context = ssl.create_default_context(cafile=str(authority.file))
    with httpx.Client(base_url=f"https://127.0.0.1:{secure.port}", verify=context, timeout=60) as client:
        for rows in (10, 300_000, 10):
            answer = client.post("/batch", json={"instances": [0.5] * rows})
            assert answer.json() == {"predictions": [621.125] * rows}


def test_mutual_tls_refuses_clients_without_a_trusted_certificate(
    mutual: Server, authority: Authority, untrusted: Authority
) -> None:
    known = authority.pair("client")
    assert by_http(mutual, authority, known).json() == {"prediction": 621.125}
    assert by_grpc(mutual, authority, known) == [621.125]
    for unknown in (None, untrusted.pair("client")):
        with pytest.raises(httpx.TransportError):
            by_http(mutual, authority, unknown)
        with pytest.raises(grpc.RpcError):
            by_grpc(mutual, authority, unknown)


def test_renews_the_certificate_without_a_restart_unless_the_new_one_is_broken(
    secure: Server, authority: Authority
) -> None:
    before = serial(secure, secure.port)
    certificate, key = authority.folder / "server.pem", authority.folder / "server.key"
    certificate.write_bytes(b"not a certificate")
    wait_until(
        lambda: "keeping the previous certificate" in secure.log.read_text(), what="the error to be logged"
    )
    assert serial(secure, secure.port) == before
    fresh = authority.pair("fresh")
    fresh.key.rename(key)
    fresh.certificate.rename(certificate)
    wait_until(lambda: serial(secure, secure.port) != before, what="HTTP to use the new certificate")
    assert by_http(secure, authority).json() == {"prediction": 621.125}
    wait_until(lambda: by_grpc_serial(secure, authority) != before, what="gRPC to use the new certificate")
    assert by_grpc(secure, authority) == [621.125]


def by_grpc_serial(server: Server, authority: Authority) -> int:
    context = ssl.create_default_context(cafile=str(authority.file))
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", server.grpc_port), timeout=60) as wire,
        context.wrap_socket(wire, server_hostname="127.0.0.1") as secured,
    ):
        shown = secured.getpeercert(binary_form=True)
    assert shown
    return x509.load_der_x509_certificate(shown).serial_number


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--ssl_certfile", "x.pem"), "--ssl_certfile and --ssl_keyfile must be set together"),
        (("--ssl_certfile", "no.pem", "--ssl_keyfile", "no.key"), "No such file or directory: 'no.pem'"),
    ],
)
def test_refuses_to_start_with_unusable_certificates(
    given: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["predictor", *given])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
