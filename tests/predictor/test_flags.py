"""The command line."""

import pytest

from predictor.kserve_compat import flags


def test_flags_with_an_effect_are_parsed() -> None:
    options = flags.parse(
        ["--http_port=8080", "--enable_grpc=false", "--timeout-keep-alive=5", "--model_dir=models/1"]
    )
    assert (options.http_port, options.enable_grpc, options.timeout_keep_alive) == (8080, False, 5)
    assert options.model_dir.name == "1"
    assert options.model_name == "linear-regressor"


@pytest.mark.parametrize(
    "flag",
    [
        "--max_threads=8",
        "--max_asyncio_workers=2",
        "--enable_docs_url=true",
        "--enable_latency_logging=false",
        "--configure_logging=false",
        "--log_config_file=log.yaml",
        "--access_log_format=%s",
        "--event-loop=asyncio",
        "--predictor_host=other",
        "--protocol=v2",
        "--predictor_protocol=v2",
        "--predictor_use_ssl=true",
        "--predictor_request_timeout_seconds=60",
        "--predictor_request_retries=1",
        "--enable_predictor_health_check",
        "--workers=2",
    ],
)
def test_flag_without_effect_is_refused(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        flags.parse([flag])
    assert ended.value.code == 2
    assert f"{flag.partition('=')[0]} has no effect on this server" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--max_threads=4", "--workers=1", "--event-loop=uvloop", "--protocol=v1"])
def test_flag_without_effect_may_have_its_default(flag: str) -> None:
    flags.parse([flag])


def test_help_lists_only_flags_with_an_effect(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        flags.parse(["--help"])
    text = capsys.readouterr().out
    assert "--http_port" in text
    assert "--max_threads" not in text
