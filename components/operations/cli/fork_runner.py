"""Runs the steps of a local run in forks of one process, so that their imports are paid for once.

KFP's own runner starts an interpreter for each step, and each spends more time on importing MLflow, pandas
and scikit-learn than on its work.
"""

import contextlib
import gc
import importlib
import json
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from kfp.dsl import executor_main
from kfp.local import status
from kfp.local.subprocess_task_handler import SubprocessTaskHandler

# Forking is not safe on macOS: its system libraries may start threads when they are imported.
AVAILABLE = sys.platform == "linux"


@contextlib.contextmanager
def forked_steps(modules: Sequence[str]) -> Iterator[None]:
    """Have kfp.local run each step as a fork of a process that has imported ``modules``.

    The process is forked here, before kfp.local starts threads for the shards, and has no threads itself.
    On macOS KFP's own runner stays.
    """
    if not AVAILABLE:
        yield
        return
    channel, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        channel.close()
        _serve(theirs, modules)
    theirs.close()
    replaced = SubprocessTaskHandler.run

    def run(handler: SubprocessTaskHandler) -> status.Status:
        done = _run_step(channel, handler.full_command, handler.env_vars)
        return status.Status.SUCCESS if done else status.Status.FAILURE

    SubprocessTaskHandler.run = run
    try:
        yield
    finally:
        SubprocessTaskHandler.run = replaced
        channel.close()
        os.waitpid(pid, 0)


def _run_step(channel: socket.socket, command: Sequence[str], environment: dict[str, str]) -> bool:
    """Run one step, print what it prints, and return whether it succeeded. Threads may share the channel."""
    control, their_control = socket.socketpair()
    reader, writer = os.pipe()
    socket.send_fds(channel, [b"s"], [their_control.fileno(), writer])
    their_control.close()
    os.close(writer)
    with control, open(reader, encoding="utf-8", errors="replace") as output:  # noqa: PTH123 - a descriptor
        # A step that is killed before it has read its command is reported below.
        with contextlib.suppress(BrokenPipeError):
            control.sendall(json.dumps({"command": command, "environment": environment}).encode())
            control.shutdown(socket.SHUT_WR)
        for line in output:
            print(line, end="")
        ended = control.recv(1)
    if not ended:
        print("The step's process was killed, perhaps for lack of memory.")
    return ended == b"0"


def _serve(channel: socket.socket, modules: Sequence[str]) -> NoReturn:
    """Fork a step for each request, until the other end of the channel is closed."""
    try:
        for name in modules:
            with contextlib.suppress(ImportError):  # the step that needs it will say so
                importlib.import_module(name)
        gc.freeze()  # a collection in a step would copy every page of what is shared
        while (received := socket.recv_fds(channel, 1, 2))[0]:
            control, writer = received[1]
            if os.fork() == 0:
                channel.close()
                _step(socket.socket(fileno=control), writer)
            os.close(control)
            os.close(writer)
            _reap(os.WNOHANG)
        _reap()
    except KeyboardInterrupt:
        pass
    finally:
        # Not sys.exit: buffers and exit handlers are those of the process that this one was forked from.
        os._exit(0)


def _reap(options: int = 0) -> None:
    """Collect the steps that ended; without options wait for all. Each step reports its own success."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, options)[0]:
            pass


def _step(control: socket.socket, writer: int) -> NoReturn:
    """Run one step as ``python -m kfp.dsl.executor_main`` would, and say at the end whether it succeeded."""
    succeeded = False
    try:
        logging.root.handlers.clear()
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        sys.stdout = open(1, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
        with control.makefile("rb") as sent:
            given = json.load(sent)
        os.environ.update(given["environment"], _KFP_RUNTIME="true")
        _execute(given["command"])
        succeeded = True
    except BaseException:  # noqa: BLE001 - as at the end of an interpreter
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
            control.sendall(b"0" if succeeded else b"1")
        os._exit(0 if succeeded else 1)


def _execute(command: Sequence[str]) -> None:
    """Do what the shell command of a lightweight component does: write its code to a file and execute it."""
    first = command.index("--executor_input")
    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder, "ephemeral_component.py")
        code.write_text(command[first - 1], encoding="utf-8")
        sys.argv = ["executor_main", "--component_module_path", str(code), *command[first:]]
        executor_main.executor_main()
