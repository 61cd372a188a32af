"""Who executes each command of the documents, or why nobody does.

A command is in exactly one class: another test executes it (`ELSEWHERE`), nobody does (`NOT_EXECUTED`), or
`test_commands.py` does, with every command that no table names. `test_stand_ins.py` executes those for a
cluster.
"""

import re
from collections.abc import Iterator, Mapping

from tests.docs.blocks import Command, commands

Table = Mapping[tuple[str, str], str]
"""By document, and by the heading above a command or the command's beginning, which may be empty."""

CLUSTER = "needs a cluster"
STORE = "needs an object store"
# With a stand-in for Docker.
TUTORIAL = "tests/cluster/test_tutorial.py"

ELSEWHERE: Table = {
    ("README.md", "make image push"): TUTORIAL,
    ("README.md", "helm install"): TUTORIAL,
    ("docs/deployment.md", "Images"): TUTORIAL,
    ("docs/deployment.md", "A first model"): TUTORIAL,
    ("docs/deployment.md", "Namespace and credentials"): TUTORIAL,
    ("docs/deployment.md", "Install with Helm"): TUTORIAL,
    ("docs/deployment.md", "Install with kustomize"): TUTORIAL,
    ("docs/deployment.md", "kubectl -n linear-regressor annotate inferenceservice"): TUTORIAL,
    ("docs/deployment.md", "Uninstall"): TUTORIAL,
    ("docs/own-model.md", ""): "tests/docs/test_own_model.py",
    ("docs/tutorial-cluster.md", ""): TUTORIAL,
}

NOT_EXECUTED: Table = {
    ("CONTRIBUTING.md", "make install"): "makes the environment of the tests",
    ("CONTRIBUTING.md", "make test"): "runs the tests",
    ("README.md", "make image kind"): "needs Docker",
    ("README.md", "KUBECONFIG="): CLUSTER,
    ("docs/benchmarks.md", ""): "measures for minutes; tests/benchmarks runs it with made-up measurements",
    ("docs/delivery.md", "cosign"): "needs a published release",
    ("docs/delivery.md", "make deploy"): f"{CLUSTER}; tests/delivery/test_deploy.py has one that is made up",
    ("docs/deployment.md", "With a registry, serving each champion automatically"): (
        f"{CLUSTER} with a volume; tests/cluster/test_rollout_job.py installs the same"
    ),
    (
        "docs/deployment.md",
        "make status",
    ): "needs a version that fails; tests/manifests/test_status.py has one",
    ("docs/monitoring.md", "kubectl"): CLUSTER,
    ("docs/pipelines.md", "uvx"): "downloads MLflow's server",
    ("docs/pipelines.md", "kubectl"): CLUSTER,
    ("docs/pipelines.md", "helm"): CLUSTER,
    ("docs/recovery.md", "kubectl"): CLUSTER,
    ("docs/recovery.md", "aws"): STORE,
    ("docs/runbooks.md", "amtool"): "needs an Alertmanager",
}

STAND_INS = re.compile(
    r"pipeline\.py +(submit|schedule|status|logs|retrain|reconcile|canary|promote|rollback)\b"
    r"|^export RUN=|^git commit -am"
)
"""Commands for a cluster, and what belongs to them, which are executed with stand-ins for it."""


def distinct() -> Iterator[Command]:
    """Yield the commands; one that is in several documents is that of the first."""
    seen: set[str] = set()
    for command in commands():
        if command.text not in seen:
            seen.add(command.text)
            yield command


def entries(command: Command) -> list[tuple[str, str]]:
    """Return the entries of both tables that a command is meant by."""
    return [entry for table in (ELSEWHERE, NOT_EXECUTED) for entry in table if meant(command, *entry)]


def meant(command: Command, document: str, start: str) -> bool:
    """Return whether an entry means a command."""
    block = command.block
    return block.document == document and (block.section == start or command.text.startswith(start))


def executed_here(document: str = "", *, with_stand_ins: bool) -> list[Command]:
    """Return the commands that this folder executes, with stand-ins or without, of one document or of all."""
    return [
        command
        for command in distinct()
        if document in ("", command.block.document)
        and not entries(command)
        and bool(STAND_INS.search(command.text)) is with_stand_ins
    ]
