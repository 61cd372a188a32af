"""Settings from the environment."""

import os
from ipaddress import ip_network

import pytest

from predictor import settings
from predictor.settings import Settings

VARIABLES = [
    str(field.validation_alias or f"PREDICTOR_{name.upper()}")
    for name, field in Settings.model_fields.items()
]


@pytest.mark.parametrize("name", VARIABLES)
def test_empty_variable_counts_as_not_set(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "")
    assert Settings() == Settings.model_construct()


def test_reads_addresses_and_networks_of_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREDICTOR_TRUSTED_PROXIES", '["10.42.0.0/16", "192.0.2.7", "2001:db8::/32"]')
    networks = [ip_network(text) for text in ("10.42.0.0/16", "192.0.2.7/32", "2001:db8::/32")]
    assert list(settings.load().trusted_proxies) == networks
    monkeypatch.setenv("PREDICTOR_TRUSTED_PROXIES", '["traefik"]')
    with pytest.raises(ValueError, match="PREDICTOR_TRUSTED_PROXIES: "):
        settings.load()


def test_flag_takes_precedence_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREDICTOR_LOG_LEVEL", "ERROR")
    assert settings.load().log_level == "ERROR"
    assert settings.load(log_level="DEBUG").log_level == "DEBUG"


def test_listens_on_loopback_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREDICTOR_HOST", raising=False)
    assert Settings().host == "127.0.0.1"


def test_error_lists_every_invalid_setting_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREDICTOR_QUEUE", "many")
    monkeypatch.setenv("PREDICTOR_MAX_ROWS", "0")
    with pytest.raises(ValueError, match="PREDICTOR_MAX_ROWS: Input should be greater than 0") as caught:
        settings.load()
    assert "PREDICTOR_QUEUE: Input should be a valid integer" in str(caught.value)
    assert "many" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"auth": "required"}, "auth=required needs api_keys or jwks"),
        ({"auth": "required", "jwks": "keys.json"}, "jwks needs jwt_issuer and jwt_audience"),
        ({"jwks": "http://id.example.com/keys"}, "jwks must be a path or an https URL"),
        ({"jwks": "HTTP://127.0.0.1.example.com/keys"}, "jwks must be a path or an https URL"),
    ],
)
def test_incomplete_auth_is_refused_without_showing_secrets(given: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        settings.load(admin_token="a secret", **given)
    assert str(caught.value).startswith(message)
    assert "a secret" not in f"{caught.value} {caught.value.__cause__}"


LINKS = {
    "PREDICTOR_PORT": "tcp://10.0.0.1:80",
    "PREDICTOR_PORT_80_TCP": "tcp://10.0.0.1:80",
    "PREDICTOR_PORT_80_TCP_ADDR": "10.0.0.1",
    "PREDICTOR_PORT_80_TCP_PORT": "80",
    "PREDICTOR_PORT_80_TCP_PROTO": "tcp",
    "PREDICTOR_SERVICE_HOST": "10.0.0.1",
    "PREDICTOR_SERVICE_PORT": "80",
    "PREDICTOR_SERVICE_PORT_HTTP": "80",
    "PREDICTOR_CANARY_SERVICE_HOST": "10.0.0.2",
    "PREDICTOR_CANARY_PORT_8081_TCP_ADDR": "10.0.0.2",
    "PREDICTOR_IMAGE": "a",
    "PREDICTOR_IMAGE_NEXT": "a",
    "PREDICTOR_IMAGE_TRACING": "a",
    "PREDICTOR_LOCK": "a",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in os.environ:
        if name.startswith("PREDICTOR_"):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("PREDICTOR_AUHT", "PREDICTOR_AUTH"),
        ("predictor_auht", "PREDICTOR_AUTH"),
        ("PREDICTOR_API_KEY", "PREDICTOR_API_KEYS"),
        ("PREDICTOR_MAXROWS", "PREDICTOR_MAX_ROWS"),
        ("PREDICTOR_SIGNATURE", "PREDICTOR_SIGNATURES"),
        ("PREDICTOR_HOSTS", "PREDICTOR_HOST"),
    ],
)
def test_a_mistyped_setting_is_refused_without_its_value(
    name: str, meant: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv(name, "a secret")
    with pytest.raises(ValueError, match="unknown setting") as caught:
        settings.load()
    assert str(caught.value) == f"unknown setting {name}; did you mean {meant}?"


def test_variables_that_resemble_no_setting_are_named_and_change_nothing(
    environment: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        **LINKS,
        "PREDICTOR_MODEL_NAME": "m",
        "PREDICTOR_TEAM": "x",
        "PREDICTOR_AUHT": "",
    }.items():
        environment.setenv(name, value)
    assert settings.load() == Settings.model_construct()
    assert settings.unknown() == ["PREDICTOR_MODEL_NAME", "PREDICTOR_TEAM"]


@pytest.mark.parametrize("name", VARIABLES)
def test_every_setting_is_known(name: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv(name, "1")
    assert settings.unknown() == []
