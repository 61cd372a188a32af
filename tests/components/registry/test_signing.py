"""A registered folder says where the model comes from, and is served as what it was signed as."""

import shutil
import sys
from pathlib import Path

import pytest

from components.registry.folders import open_folders
from components.registry.registry import Registry
from components.registry.signing import (
    IMAGE,
    KEY,
    Signer,
    SigningError,
    find_signer,
    provenance_of,
    registered_folder,
)
from predictor.model import artifact
from predictor.model.artifact import EVALUATION_FILE, MANIFEST_FILE, PROVENANCE_FILE, SIGNATURE_FILE
from predictor.model.handle import ModelHandle
from predictor.model.signature import SignatureError, SignaturePolicy, verify
from predictor.model.signer import TrustedSigner
from tests.components.conftest import MakeModel
from tests.components.registry.decisions import BETTER, WORSE, accept, index_of, refuse
from tests.support.signing import make_keys

NAME = "linear-regressor"


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, TrustedSigner]:
    """A private key, and who may sign: its holder."""
    private, public = make_keys(tmp_path / "keys")
    return private, TrustedSigner(public)


@pytest.fixture
def signed(tmp_path: Path, make_model: MakeModel, keys: tuple[Path, TrustedSigner]) -> Path:
    """The folder that holds the signed versions 1 and 2."""
    for number in (1, 2):
        publish(tmp_path, make_model(float(number)), number, keys[0])
    return tmp_path / "models" / NAME


def publish(root: Path, model: Path, number: int, key: Path) -> None:
    """Publish a signed version."""
    about = provenance_of(NAME, number, artifact.read(model)[1], {"run_id": f"run-{number}"}, BETTER)
    with registered_folder(model, None, about, Signer(key)) as complete:
        open_folders(root, NAME).publish(complete, number)


def test_a_registered_version_is_signed_and_says_where_it_comes_from(
    registry: Registry,
    root: Path,
    make_model: MakeModel,
    keys: tuple[Path, TrustedSigner],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(KEY, str(keys[0]))
    monkeypatch.setenv(IMAGE, "registry.example.com/pipeline@sha256:abc")
    lineage = {"dataset_fingerprint": "abc", "git_commit": "d3adb33f"}
    registry.register(make_model(2.0), "run-1", lineage, refuse)
    folder = root / "models" / NAME / "1"
    digest = verify(folder, keys[1], NAME, "1")
    assert digest == artifact.read(folder)[1]
    found = artifact.read_provenance(folder, digest)
    assert found is not None
    assert (found.name, found.version, found.digest) == (NAME, "1", digest)
    assert (found.run, found.data, found.code) == ("run-1", "abc", "d3adb33f")
    assert found.image == "registry.example.com/pipeline@sha256:abc"
    assert (found.promoted, found.reasons) == (False, WORSE.reasons)


def test_a_signed_version_is_verified_and_served(signed: Path, keys: tuple[Path, TrustedSigner]) -> None:
    policy = SignaturePolicy("require", keys[1], NAME)
    handle = ModelHandle(NAME, signed / "1", signatures=policy)
    assert handle.load()
    assert handle.loaded
    assert handle.loaded.signed
    assert policy.check(signed / "1", "1") == handle.loaded.digest


def test_the_links_of_a_volume_are_followed(
    signed: Path, keys: tuple[Path, TrustedSigner], tmp_path: Path
) -> None:
    """KServe's storage initializer links to the files of a persistent volume claim."""
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    for file in (signed / "1").iterdir():
        (mounted / file.name).symlink_to(file)
    assert verify(mounted, keys[1], NAME, "1") == artifact.read(signed / "1")[1]


def test_a_swapped_folder_is_refused(signed: Path, keys: tuple[Path, TrustedSigner]) -> None:
    """By itself the signature of version 2 is good wherever its folder is copied to."""
    shutil.rmtree(signed / "1")
    shutil.copytree(signed / "2", signed / "1")
    assert verify(signed / "1", keys[1], NAME, "2")
    problem = f"signed as version 2 of {NAME}, and served as version 1 of {NAME}"
    with pytest.raises(SignatureError, match=problem):
        verify(signed / "1", keys[1], NAME, "1")
    with pytest.raises(SignatureError, match="and served as version 2 of another"):
        verify(signed / "2", keys[1], "another", "2")


def test_a_stripped_signature_is_refused(signed: Path, keys: tuple[Path, TrustedSigner]) -> None:
    (signed / "1" / SIGNATURE_FILE).unlink()
    with pytest.raises(SignatureError, match="it is not signed"):
        verify(signed / "1", keys[1], NAME, "1")


@pytest.mark.parametrize("name", [PROVENANCE_FILE, MANIFEST_FILE])
def test_a_changed_or_missing_file_is_refused(
    name: str, signed: Path, keys: tuple[Path, TrustedSigner]
) -> None:
    file = signed / "1" / name
    content = file.read_bytes()
    file.write_bytes(content + b" ")
    with pytest.raises(SignatureError, match=f"not what was signed; changed files: {name}$"):
        verify(signed / "1", keys[1], NAME, "1")
    if name == PROVENANCE_FILE:
        file.unlink()
        with pytest.raises(SignatureError, match=f"not what was signed; missing files: {name}$"):
            verify(signed / "1", keys[1], NAME, "1")
    file.write_bytes(content)
    (signed / "1" / EVALUATION_FILE).write_text("{}")
    with pytest.raises(SignatureError, match=r"not what was signed; extra files: evaluation\.json$"):
        verify(signed / "1", keys[1], NAME, "1")


def test_a_folder_signed_by_another_is_refused(
    signed: Path, tmp_path: Path, make_model: MakeModel, keys: tuple[Path, TrustedSigner]
) -> None:
    private, public = make_keys(tmp_path / "other")
    publish(tmp_path, make_model(3.0), 3, private)
    assert verify(signed / "3", TrustedSigner(public), NAME, "3")
    with pytest.raises(SignatureError, match="Key mismatch"):
        verify(signed / "3", keys[1], NAME, "3")


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"mediaType": "x"}', b"\xff"])
def test_a_malformed_signature_is_refused(
    content: bytes, signed: Path, keys: tuple[Path, TrustedSigner]
) -> None:
    (signed / "1" / SIGNATURE_FILE).write_bytes(content)
    with pytest.raises(SignatureError):
        verify(signed / "1", keys[1], NAME, "1")


def test_an_unsigned_model_is_served_with_a_warning_or_refused(
    signed: Path, keys: tuple[Path, TrustedSigner], caplog: pytest.LogCaptureFixture
) -> None:
    folder = signed / "1"
    (folder / SIGNATURE_FILE).unlink()

    required = ModelHandle(NAME, folder, signatures=SignaturePolicy("require", keys[1], NAME))
    assert not required.load()
    assert required.reason == "it is not signed"
    warned = ModelHandle(NAME, folder, signatures=SignaturePolicy("warn", keys[1], NAME))
    assert warned.load()
    assert warned.loaded
    assert not warned.loaded.signed
    assert f"the signature of {folder} is not good: it is not signed" in caplog.text


def test_what_can_not_be_verified_is_refused(
    signed: Path, keys: tuple[Path, TrustedSigner], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SignatureError, match="it is served without a version"):
        SignaturePolicy("require", keys[1], NAME).check(signed / "1", None)
    with pytest.raises(SignatureError, match=r"the public key .*none\.pem can't be used"):
        verify(signed / "1", TrustedSigner(tmp_path / "none.pem"), NAME, "1")
    monkeypatch.setitem(sys.modules, "model_signing", None)
    with pytest.raises(SignatureError, match="the extra `signing` of linear-regressor is not installed"):
        verify(signed / "1", keys[1], NAME, "1")


def test_a_check_that_ends_without_an_answer_refuses(
    signed: Path, keys: tuple[Path, TrustedSigner], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SignatureError, match="verifying it ended with status 1"):
        SignaturePolicy("require", keys[1], NAME).check(signed / "1", "1")


def test_a_key_that_can_not_sign_registers_nothing(
    registry: Registry,
    root: Path,
    make_model: MakeModel,
    keys: tuple[Path, TrustedSigner],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for wrong in (keys[1].key, root / "none.pem"):
        monkeypatch.setenv(KEY, str(wrong))
        with pytest.raises(SigningError, match="can't sign models"):
            registry.register(make_model(1.0), "run-1", {}, accept)
    monkeypatch.delenv(KEY)
    registry.register(make_model(1.0), "run-1", {}, accept)
    assert [version.number for version in index_of(root).latest()] == [1]


def test_the_key_of_the_pods_secret_signs(keys: tuple[Path, TrustedSigner], tmp_path: Path) -> None:
    assert find_signer(tmp_path / "secret") is None
    (tmp_path / "secret").mkdir()
    shutil.copyfile(keys[0], tmp_path / "secret" / KEY)
    assert find_signer(tmp_path / "secret") is not None
