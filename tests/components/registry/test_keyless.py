"""A model is signed by an identity instead of a key, and verified without a network."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.registry.registry import Registry
from components.registry.signing import KEY, TOKEN, TRUST, Signer, SigningError, find_signer
from predictor.model import artifact
from predictor.model.artifact import SIGNATURE_FILE
from predictor.model.signature import SignatureError, SignaturePolicy, verify
from predictor.model.signer import TrustedSigner
from tests.components.conftest import MakeModel
from tests.components.registry.decisions import accept
from tests.support.signing import make_keys
from tests.support.sigstore import IDENTITY, ISSUER, Sigstore, make_token, running_sigstore

NAME = "linear-regressor"


@pytest.fixture(scope="module")
def sigstore() -> Iterator[Sigstore]:
    """A Sigstore that runs here."""
    with running_sigstore() as running:
        yield running


@pytest.fixture
def trust(sigstore: Sigstore, tmp_path: Path) -> Path:
    """The file of its client trust configuration."""
    return sigstore.trust(tmp_path / "trust.json")


def sign_with(token: str, trust: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name the files of an identity token and of a trust configuration, as a run does."""
    file = trust.with_name("token")
    file.write_text(token)
    monkeypatch.setenv(TOKEN, str(file))
    monkeypatch.setenv(TRUST, str(trust))


@pytest.fixture
def signed(
    registry: Registry,
    root: Path,
    make_model: MakeModel,
    trust: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The folder of version 1, signed by the identity."""
    sign_with(make_token() + "\n", trust, monkeypatch)
    registry.register(make_model(2.0), "run-1", {}, accept)
    return root / "models" / NAME / "1"


def test_a_model_signed_by_the_identity_is_good(signed: Path, trust: Path) -> None:
    signer = TrustedSigner(identity=IDENTITY, issuer=ISSUER, trust=trust)
    digest = artifact.read(signed)[1]
    assert SignaturePolicy("require", signer, NAME).check(signed, "1") == digest


def test_verifying_needs_no_network(signed: Path, trust: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert verify(signed, TrustedSigner(identity=IDENTITY, issuer=ISSUER, trust=trust), NAME, "1")
    # The public Sigstore certified nobody here, which its packaged keys say without asking it.
    with pytest.raises(SignatureError, match="certificate chain"):
        verify(signed, TrustedSigner(identity=IDENTITY, issuer=ISSUER), NAME, "1")


@pytest.mark.parametrize(
    ("identity", "issuer", "problem"),
    [
        (IDENTITY + "-2", ISSUER, "SANs do not match"),
        (IDENTITY, ISSUER + "/2", "OIDCIssuer does not match"),
    ],
)
def test_another_identity_or_issuer_is_refused(
    identity: str, issuer: str, problem: str, signed: Path, trust: Path
) -> None:
    with pytest.raises(SignatureError, match=problem):
        verify(signed, TrustedSigner(identity=identity, issuer=issuer, trust=trust), NAME, "1")


def test_a_certificate_of_another_sigstore_is_refused(signed: Path, tmp_path: Path) -> None:
    other = Sigstore().trust(tmp_path / "other.json")
    with pytest.raises(SignatureError, match="certificate chain"):
        verify(signed, TrustedSigner(identity=IDENTITY, issuer=ISSUER, trust=other), NAME, "1")


def test_a_changed_file_or_version_is_refused(signed: Path, trust: Path) -> None:
    signer = TrustedSigner(identity=IDENTITY, issuer=ISSUER, trust=trust)
    with pytest.raises(SignatureError, match="signed as version 1"):
        verify(signed, signer, NAME, "2")
    (signed / artifact.MODEL_FILE).write_text("{}")
    with pytest.raises(SignatureError, match=r"changed files: model\.json"):
        verify(signed, signer, NAME, "1")


def test_an_entry_that_the_log_did_not_sign_is_refused(signed: Path, trust: Path) -> None:
    file = signed / SIGNATURE_FILE
    bundle = json.loads(file.read_bytes())
    bundle["verificationMaterial"]["tlogEntries"][0]["integratedTime"] = "1"
    file.write_text(json.dumps(bundle))
    with pytest.raises(SignatureError):
        verify(signed, TrustedSigner(identity=IDENTITY, issuer=ISSUER, trust=trust), NAME, "1")


def test_a_key_does_not_pass_for_an_identity_nor_an_identity_for_a_key(
    signed: Path, trust: Path, tmp_path: Path
) -> None:
    private, public = make_keys(tmp_path / "keys")
    with pytest.raises(SignatureError):
        verify(signed, TrustedSigner(public), NAME, "1")
    Signer(private).sign(signed)
    assert verify(signed, TrustedSigner(public), NAME, "1")
    with pytest.raises(SignatureError):
        verify(signed, TrustedSigner(identity=IDENTITY, issuer=ISSUER, trust=trust), NAME, "1")


@pytest.mark.parametrize("content", ["", "{}", "not JSON"])
def test_an_unusable_trust_configuration_refuses(content: str, signed: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text(content)
    signer = TrustedSigner(identity=IDENTITY, issuer=ISSUER, trust=tmp_path / "bad.json")
    with pytest.raises(SignatureError, match=r"the trust configuration .*bad\.json can't be used"):
        verify(signed, signer, NAME, "1")


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        (make_token(secret="another" * 8), "was not signed: 401 Client Error"),
        (make_token(audience="another"), "was not signed: Identity token is malformed"),
        ("", r"the token .* can't sign models: it is empty"),
    ],
)
def test_a_token_that_is_refused_registers_nothing(
    token: str,
    problem: str,
    registry: Registry,
    root: Path,
    make_model: MakeModel,
    trust: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sign_with(token, trust, monkeypatch)
    with pytest.raises(SigningError, match=problem):
        registry.register(make_model(1.0), "run-1", {}, accept)
    assert not (root / "models" / NAME).exists()


def test_a_sigstore_that_does_not_answer_is_an_error(
    trust: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_sigstore() as stopped:
        gone = stopped.trust(tmp_path / "gone.json")
    (tmp_path / "token").write_text(make_token())
    monkeypatch.setenv(TOKEN, str(tmp_path / "token"))
    monkeypatch.setenv(TRUST, str(gone))
    with pytest.raises(SigningError, match=r"can't sign models: .*Connection refused"):
        find_signer()
    monkeypatch.setenv(KEY, str(tmp_path / "key"))
    with pytest.raises(SigningError, match=f"with a key or with a token: set {KEY} or {TOKEN}"):
        find_signer()


def test_a_signer_is_named_by_a_key_or_by_an_identity() -> None:
    for identity, issuer in (("", ""), (IDENTITY, ""), ("", ISSUER)):
        with pytest.raises(ValueError, match="or by an identity and its issuer"):
            TrustedSigner(identity=identity, issuer=issuer)
    with pytest.raises(ValueError, match="not by both"):
        TrustedSigner(Path("public.pem"), IDENTITY, ISSUER)
