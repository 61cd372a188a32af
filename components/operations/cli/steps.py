"""Finds the steps of a run on Kubeflow Pipelines among the tasks that its API lists.

Besides the node of a step the API lists its driver ``ingest-driver``, its pods ``executor(0)`` and, after a
retry, ``executor(1)``, and the nodes of its loop. In a loop the step has a node for each iteration.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

# Nodes that are not steps: pods, drivers, and groups.
PLUMBING = re.compile(r"root|executor(\(\d+\))?|.+-driver|for-loop-\d+|iteration-.+|iteration")
DONE = ("SUCCEEDED", "SKIPPED", "CACHED")
FAILED = ("FAILED", "SYSTEM_ERROR", "ERROR", "CANCELED")


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a run, over all iterations of its loop.

    Attributes:
        name: of the step.
        states: of its iterations, as KFP names them.
        started: when the first iteration started.
    """

    name: str
    states: tuple[str, ...]
    started: Any = None

    @property
    def failed(self) -> bool:
        """Return whether an iteration failed."""
        return any(state in FAILED for state in self.states)


def steps(run: Any) -> list[Step]:
    """Return the steps of a run that have started, in order.

    Args:
        run: as the client returns it. Its details arrive after its state, and some have no name.
    """
    tasks = (run.run_details and run.run_details.task_details) or []
    # The workflow's own node is named like the common prefix of its pods' names.
    workflows = {node.rsplit("-", 1)[0] for task in tasks for node in _nodes(task)}
    named = defaultdict(list)
    for task in tasks:
        name = task.display_name
        if name and task.state and name not in workflows and not PLUMBING.fullmatch(name):
            named[name].append(task)
    found = [
        Step(
            name,
            tuple(task.state for task in own),
            min((task.start_time for task in own if task.start_time), default=None),
        )
        for name, own in named.items()
    ]
    return sorted(found, key=lambda step: (step.started is None, step.started or 0))


def describe(step: Step) -> str:
    """Describe a step's state: ``running``, or ``running, 3 of 8 done`` in a loop."""
    if step.failed:
        state = "failed"
    else:
        state = next((state for state in step.states if state not in DONE), step.states[0]).lower()
    if len(step.states) == 1:
        return state
    done = sum(state in DONE for state in step.states)
    return f"{state}, {done} of {len(step.states)} done"


def _nodes(task: Any) -> list[str]:
    return [child.pod_name for child in task.child_tasks or [] if child.pod_name]
