"""A predictor that requires signatures serves a signed version, and says why it serves no other."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from components.registry.decision import Decision
from components.registry.signing import Signer, provenance_of, registered_folder
from predictor.model import artifact
from tests.support.models import write_model
from tests.support.server import NAME, start_predictor
from tests.support.signing import make_keys
from tests.support.sigstore import IDENTITY, ISSUER, make_token, running_sigstore


@pytest.fixture
def signed(tmp_path: Path) -> tuple[Path, Path]:
    """The folder of version 7, signed, and the public key."""
    private, public = make_keys(tmp_path / "keys")
    model = write_model(tmp_path / "model")
    lineage = {"run_id": "run-1", "git_commit": "d3adb33f"}
    about = provenance_of(
        NAME, 7, artifact.read(model)[1], lineage, Decision(promote=True, reasons=("better",))
    )
    with registered_folder(model, None, about, Signer(private)) as complete:
        shutil.copytree(complete, tmp_path / "7")
    return tmp_path / "7", public


@contextmanager
def serving(folder: Path, **signer: Any) -> Iterator[httpx.Client]:
    """Serve a folder, requiring a signature by the signer of these settings; yields a client."""
    place = folder.parent / "place"
    place.mkdir()
    with (
        start_predictor(folder, place=place, signatures="require", **signer) as server,
        server.http as client,
    ):
        yield client


def test_a_signed_version_is_served_with_its_provenance(signed: tuple[Path, Path]) -> None:
    folder, key = signed
    with serving(folder, signature_key=key) as http:
        found = http.get(f"/v2/models/{NAME}").json()["parameters"]["provenance"]
        assert (found["name"], found["version"], found["run"], found["signed"]) == (NAME, "7", "run-1", True)
        assert (found["promoted"], found["reasons"]) == (True, ["better"])
        page = http.get("/", headers={"accept": "text/html"}).text
        assert "<dt>Signature</dt><dd>verified</dd>" in page
        assert "<bdi>d3adb33f</bdi>" in page
        schema = http.get("/openapi.json").json()["components"]["schemas"]["Provenance"]
        assert set(schema["required"]) <= set(found)


def test_another_version_is_not_served_and_the_reason_is_said(
    signed: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, key = signed
    with serving(folder.rename(tmp_path / "8"), signature_key=key) as http:
        answer = http.get("/v2/health/ready")
        assert answer.status_code == 503
        assert "signed as version 7" in json.dumps(answer.json())
        assert http.post("/stream", json={"instance": 0.1}).status_code == 503


def test_a_version_signed_by_an_identity_is_served(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    (tmp_path / "token").write_text(make_token())
    about = provenance_of(NAME, 7, artifact.read(model)[1], {}, Decision(promote=True, reasons=("better",)))
    with running_sigstore() as sigstore:
        trust = sigstore.trust(tmp_path / "trust.json")
        signer = Signer(token=tmp_path / "token", trust=trust)
        with registered_folder(model, None, about, signer) as complete:
            shutil.copytree(complete, tmp_path / "7")
    settings: dict[str, Any] = {
        "signature_identity": IDENTITY,
        "signature_issuer": ISSUER,
        "signature_trust": trust,
    }
    with serving(tmp_path / "7", **settings) as http:
        assert http.get(f"/v2/models/{NAME}").json()["parameters"]["provenance"]["signed"] is True
        assert http.post("/stream", json={"instance": 0.1}).status_code == 200


@pytest.mark.parametrize("signer", [{}, {"signature_identity": IDENTITY}, {"signature_issuer": ISSUER}])
def test_a_policy_without_a_signer_is_refused_at_the_start(signer: dict[str, Any], tmp_path: Path) -> None:
    problem = "PREDICTOR_SIGNATURES=require needs PREDICTOR_SIGNATURE_KEY, or PREDICTOR_SIGNATURE_IDENTITY"
    with (
        pytest.raises(RuntimeError, match=problem),
        start_predictor(place=tmp_path, signatures="require", **signer),
    ):
        pass
