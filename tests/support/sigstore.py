"""A Sigstore on this machine: an OIDC issuer, a certificate authority (Fulcio) and a log (Rekor).

It speaks as much of their protocols as a client needs, with keys of its own, which ``trust`` names.
"""

import base64
import datetime as dt
import hashlib
import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from tests.support.http import answering

ISSUER = "https://oidc.example.com"
IDENTITY = "https://kubernetes.io/namespaces/kubeflow/serviceaccounts/pipeline-runner"
TOKEN_SECRET = "known to the issuer and to the certificate authority alone"
ISSUER_OID = ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
MINUTES = dt.timedelta(minutes=10)

Key = ec.EllipticCurvePrivateKey


def make_token(identity: str = IDENTITY, *, audience: str = "sigstore", secret: str = TOKEN_SECRET) -> str:
    """Return an identity token, valid for ten minutes."""
    now = dt.datetime.now(dt.UTC)
    claims = {"iss": ISSUER, "sub": identity, "aud": audience, "iat": now, "exp": now + MINUTES}
    return jwt.encode(claims, secret, "HS256")


class Sigstore:
    """The keys of a Sigstore, and its answers.

    Attributes:
        url: its address.
    """

    def __init__(self) -> None:
        self.url = ""
        self._ca_key, self._ct_key, self._log_key = (
            ec.generate_private_key(ec.SECP256R1()) for _ in range(3)
        )
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sigstore of a test")])
        now = dt.datetime.now(dt.UTC)
        self._ca = (
            x509.CertificateBuilder(self._name, self._name, self._ca_key.public_key(), 1)
            .not_valid_before(now - MINUTES)
            .not_valid_after(now + MINUTES * 100)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self._ca_key.public_key()), critical=False
            )
            .sign(self._ca_key, hashes.SHA256())
        )

    def trust(self, file: Path) -> Path:
        """Write the client trust configuration; returns the file."""
        since = {"start": (dt.datetime.now(dt.UTC) - MINUTES).strftime("%Y-%m-%dT%H:%M:%SZ")}

        def log(key: Key) -> dict[str, Any]:
            public = {
                "rawBytes": _text(_der(key)),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": since,
            }
            return {
                "baseUrl": self.url,
                "hashAlgorithm": "SHA2_256",
                "publicKey": public,
                "logId": {"keyId": _text(_key_id(key))},
            }

        service = [{"url": self.url, "majorApiVersion": 1, "validFor": since, "operator": "test"}]
        authority = {
            "subject": {"organization": "test", "commonName": "test"},
            "uri": self.url,
            "certChain": {"certificates": [{"rawBytes": _text(self._ca.public_bytes(Encoding.DER))}]},
            "validFor": since,
        }
        root = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(self._log_key)],
            "certificateAuthorities": [authority],
            "ctlogs": [log(self._ct_key)],
            "timestampAuthorities": [],
        }
        signing = {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": service,
            "oidcUrls": service,
            "rekorTlogUrls": service,
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaUrls": [],
            "tsaConfig": {"selector": "ANY"},
        }
        content = {
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": root,
            "signingConfig": signing,
        }
        file.write_text(json.dumps(content), encoding="utf-8")
        return file

    def certify(self, token: str, request: bytes) -> dict[str, Any]:
        """Answer a request for a certificate.

        Raises:
            jwt.InvalidTokenError: the token is not by the issuer.
        """
        claims = jwt.decode(token, TOKEN_SECRET, ["HS256"], audience="sigstore", issuer=ISSUER)
        key = x509.load_pem_x509_csr(request).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        now = dt.datetime.now(dt.UTC)
        unlogged = (
            x509.CertificateBuilder(self._name, x509.Name([]), key, x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(seconds=5))
            .not_valid_after(now + MINUTES)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._ca_key.public_key()), critical=False
            )
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(claims["sub"])]), critical=True
            )
            .add_extension(x509.UnrecognizedExtension(ISSUER_OID, claims["iss"].encode()), critical=False)
        )
        first = unlogged.sign(self._ca_key, hashes.SHA256())
        logged = unlogged.add_extension(self._timestamps(first, now), critical=False)
        chain = [logged.sign(self._ca_key, hashes.SHA256()), self._ca]
        texts = [certificate.public_bytes(Encoding.PEM).decode() for certificate in chain]
        return {"signedCertificateEmbeddedSct": {"chain": {"certificates": texts}}}

    def _timestamps(self, certificate: x509.Certificate, now: dt.datetime) -> x509.ExtensionType:
        """Return the extension with the log's signed timestamp of a certificate (RFC 6962)."""
        milliseconds = int(now.timestamp() * 1000)
        body = certificate.tbs_certificate_bytes
        signed = (
            struct.pack("!BBQH", 0, 0, milliseconds, 1)
            + _key_id(self._ca_key)
            + len(body).to_bytes(3, "big")
            + body
            + b"\0\0"
        )
        signature = self._ct_key.sign(signed, ec.ECDSA(hashes.SHA256()))
        one = (
            b"\0"
            + _key_id(self._ct_key)
            + struct.pack("!QH", milliseconds, 0)
            + b"\4\3"
            + struct.pack("!H", len(signature))
            + signature
        )
        several = struct.pack("!H", len(one)) + one
        content = struct.pack("!H", len(several)) + several
        return x509.UnrecognizedExtension(
            ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2"), asn1.encode_der(content)
        )

    def log(self, proposed: dict[str, Any]) -> dict[str, Any]:
        """Answer a request for an entry in the log, of which it becomes the only one."""
        content = proposed["spec"]["proposedContent"]
        envelope = json.loads(content["envelope"])
        payload = hashlib.sha256(base64.b64decode(envelope["payload"])).hexdigest()
        entry = {
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {
                "envelopeHash": _sha256(hashlib.sha256(content["envelope"].encode()).hexdigest()),
                "payloadHash": _sha256(payload),
                "signatures": [
                    {"signature": envelope["signatures"][0]["sig"], "verifier": content["verifiers"][0]}
                ],
            },
        }
        body = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
        root = hashlib.sha256(b"\0" + body).digest()
        found = {
            "body": _text(body),
            "integratedTime": int(dt.datetime.now(dt.UTC).timestamp()),
            "logID": _key_id(self._log_key).hex(),
            "logIndex": 0,
        }
        promise = json.dumps(found, sort_keys=True, separators=(",", ":")).encode()
        note = f"sigstore of a test\n1\n{_text(root)}\n"
        signature = _key_id(self._log_key)[:4] + self._signed(note.encode())
        proof = {
            "checkpoint": f"{note}\n\N{EM DASH} sigstore {_text(signature)}\n",
            "hashes": [],
            "logIndex": 0,
            "rootHash": root.hex(),
            "treeSize": 1,
        }
        verification = {"inclusionProof": proof, "signedEntryTimestamp": _text(self._signed(promise))}
        return {"0" * 64: {**found, "verification": verification}}

    def _signed(self, data: bytes) -> bytes:
        return self._log_key.sign(data, ec.ECDSA(hashes.SHA256()))


@contextmanager
def running_sigstore() -> Iterator[Sigstore]:
    """Serve a Sigstore of its own keys while the context lasts."""
    sigstore = Sigstore()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, {"authorization_endpoint": sigstore.url, "token_endpoint": sigstore.url})

        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if self.path == "/api/v1/log/entries":
                self._answer(201, sigstore.log(content))
                return
            token = self.headers["authorization"].removeprefix("Bearer ")
            try:
                answer = sigstore.certify(token, base64.b64decode(content["certificateSigningRequest"]))
            except jwt.InvalidTokenError as error:
                self._answer(401, {"message": str(error)})
            else:
                self._answer(201, answer)

        def _answer(self, status: int, content: dict[str, Any]) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with answering(Handler) as sigstore.url:
        yield sigstore


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _der(key: Key) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _key_id(key: Key) -> bytes:
    return hashlib.sha256(_der(key)).digest()


def _sha256(value: str) -> dict[str, str]:
    return {"algorithm": "sha256", "value": value}


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
