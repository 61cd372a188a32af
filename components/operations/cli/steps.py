"""The steps of a run on Kubeflow Pipelines, told from the tasks that its API lists.

Around the node of a step there are many: its driver ``ingest-driver``, its pods ``executor(0)`` and, should
it be tried again, ``executor(1)``, the nodes of its loop. In a loop the step has a node for each iteration.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

# Nodes that are no step: the pods, the drivers, and what groups them.
PLUMBING = re.compile(r"root|executor(\(\d+\))?|.+-driver|for-loop-\d+|iteration-.+|iteration")
DONE = ("SUCCEEDED", "SKIPPED", "CACHED")
FAILED = ("FAILED", "SYSTEM_ERROR", "ERROR", "CANCELED")


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a run, over all iterations of its loop.

    Attributes:
        name: of the step.
        states: of its iterations, in KFP's words.
        started: the first beginning, as KFP tells it.
    """

    name: str
    states: tuple[str, ...]
    started: Any = None

    @property
    def failed(self) -> bool:
        """Whether an iteration failed."""
        return any(state in FAILED for state in self.states)


def steps(run: Any) -> list[Step]:
    """The steps of a run that have begun, in their order.

    Args:
        run: as the client returns it. Its details arrive after its state, and some have no name.
    """
    tasks = (run.run_details and run.run_details.task_details) or []
    # A workflow's own node is called as the part that all its pods' names begin with.
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
    """A step's state in a few words: ``running``, or ``running, 3 of 8 done`` in a loop."""
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
