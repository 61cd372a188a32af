"""Schedules on Kubeflow Pipelines."""

from types import SimpleNamespace as Record
from typing import Any
from unittest.mock import Mock

import pytest

from pipeline import main
from tests.components.operations.cli.kubeflow import HOST, MLFLOW, ROOT

SCHEDULE = ["schedule", *HOST, *ROOT, "--param", "git_commit=c0", "--cron", "0 3 * * *"]


def existing(identity: str = "s0", cron: str = "0 0 3 * * *", **changes: Any) -> Record:
    """A schedule as the client returns it, made by ``schedule --cron '0 3 * * *'``."""
    fields = {
        "recurring_run_id": identity,
        "experiment_id": "e1",
        "status": "ENABLED",
        "trigger": Record(cron_schedule=Record(cron=cron)),
        "no_catchup": True,
        "pipeline_version_reference": Record(pipeline_version_id="v1"),
        "runtime_config": Record(
            parameters={
                "registry_root": "s3://models",
                "tracking_uri": MLFLOW,
                "reason": "schedule",
                "git_commit": "c0",
            },
            pipeline_root="",
        ),
        "service_account": "pipeline-runner",
    }
    return Record(**{**fields, **changes})


@pytest.mark.parametrize(("cron", "sent"), [("0 3 * * *", "0 0 3 * * *"), ("30 0 3 * * 1", "30 0 3 * * 1")])
def test_schedules_one_run_at_a_time(client: Mock, cron: str, sent: str) -> None:
    assert main(["schedule", *HOST, *ROOT, "--cron", cron]) == 0
    made = client.create_recurring_run.call_args.kwargs
    assert (made["cron_expression"], made["max_concurrency"], made["no_catchup"]) == (sent, 1, True)
    client.delete_recurring_run.assert_not_called()


def test_the_reason_of_a_scheduled_run_is_the_schedule(client: Mock) -> None:
    assert main(SCHEDULE) == 0
    assert client.create_recurring_run.call_args.kwargs["params"]["reason"] == "schedule"


@pytest.mark.parametrize(
    ("old", "options"),
    [
        (existing(cron="0 0 4 * * *"), []),
        (existing(), ["--catch-up"]),
        (existing(), ["--param", "lr=0.2"]),
        (existing(), ["--pipeline-root", "s3://runs"]),
        (existing(), ["--service-account", "trainer"]),
        (existing(status="DISABLED"), []),
        (existing(pipeline_version_reference=Record(pipeline_version_id="v0")), []),
    ],
)
def test_a_changed_schedule_is_created_before_the_old_one_is_deleted(
    client: Mock, old: Record, options: list[str]
) -> None:
    client.list_recurring_runs.return_value = Record(recurring_runs=[old])
    assert main([*SCHEDULE, *options]) == 0
    calls = [call[0] for call in client.method_calls]
    assert calls.index("create_recurring_run") < calls.index("delete_recurring_run")
    client.delete_recurring_run.assert_called_once_with("s0")
    assert client.create_recurring_run.call_args.kwargs["no_catchup"] is ("--catch-up" not in options)


def test_an_unchanged_schedule_is_left_alone(client: Mock) -> None:
    client.list_recurring_runs.return_value = Record(recurring_runs=[existing()])
    assert main(SCHEDULE) == 0
    client.create_recurring_run.assert_not_called()
    client.delete_recurring_run.assert_not_called()


def test_deletes_the_second_of_two_schedules_left_by_a_crash(client: Mock) -> None:
    left = [existing("s1", cron="0 0 4 * * *"), existing("s0")]
    client.list_recurring_runs.return_value = Record(recurring_runs=left)
    assert main(SCHEDULE) == 0
    client.create_recurring_run.assert_not_called()
    client.delete_recurring_run.assert_called_once_with("s1")


@pytest.mark.parametrize(("state", "retired"), [("RUNNING", "disable"), ("SUCCEEDED", "delete")])
def test_a_replaced_schedule_is_disabled_while_its_run_is_active_and_deleted_otherwise(
    client: Mock, state: str, retired: str
) -> None:
    client.list_recurring_runs.return_value = Record(recurring_runs=[existing("s7", cron="0 0 4 * * *")])
    client.list_runs.return_value = Record(runs=[Record(recurring_run_id="s7", state=state)])
    assert main(SCHEDULE) == 0
    calls = [call[0] for call in client.method_calls if call.args == ("s7",)]
    assert calls == [f"{retired}_recurring_run"]
