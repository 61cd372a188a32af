"""Executes commands of a document in a shell, as they are written, and compares what they print.

What differs from the document:

- A server is started in the background, on free ports, once the one before it has ended. curl, by its
  configuration, connects to it for ``localhost:8080``.
- Addresses and folders that the document makes up are replaced, as `Place.changes` says.
- In the output that a document shows, … matches any text. Times and the last digits of long numbers may
  differ.
"""

import contextlib
import math
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from delivery import version
from tests.docs.blocks import ROOT, Command
from tests.support.ports import free_port

END = "=== the command has ended ==="
FLAGS = {
    "make run": "",
    "--serve": " --port $PORT --grpc-port $GRPC_PORT",
    "-m predictor": " --http_port $PORT --grpc_port $GRPC_PORT",
}
"""What starts a server, and what gives it its ports beside the environment."""
LONG = r"-?\d+\.\d{6,}"
TIME = r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00"
VARYING = {"…": ".*?", LONG: f"({LONG})", TIME: TIME}
"""What varies in an output, and the pattern of what is printed instead."""
PRELUDE = """
set -euo pipefail
SERVER=
at() {
    printf '%s\\n' silent show-error 'noproxy = "*"' "connect-to = localhost:8080:127.0.0.1:$1" \\
        > "$CURL_HOME/.curlrc"
}
stop() { if [ "$SERVER" ]; then kill "$SERVER"; wait "$SERVER" || true; fi; }
trap stop EXIT
await() {
    SERVER=$!
    at "$PORT"
    until curl --fail localhost:8080/v2/health/ready >ready.log 2>&1; do
        kill -0 "$SERVER" || { cat server.log >&2; exit 1; }
        sleep 0.2
    done
}
"""


@dataclass
class Place:
    """Where commands are executed.

    Attributes:
        folder: the current directory.
        changes: what replaces a text of the document.
        ports: of a server that runs, by the section whose calls go to it; "" is every other section.
        environment: more variables.
        printed: what each command has printed.
    """

    folder: Path
    changes: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    printed: list[str] = field(default_factory=list)

    def link_checkout(self) -> None:
        """Make the folder look like a checkout; its files are those of the repository, not copies."""
        for name in {path.partition("/")[0] for path in version.tracked(ROOT)}:
            (self.folder / name).symlink_to(ROOT / name)
        self.link_environment()

    def link_environment(self) -> None:
        """Give the folder an environment .venv, which make finds up to date."""
        (self.folder / ".venv").mkdir()
        for path in Path(sys.prefix).iterdir():
            (self.folder / ".venv" / path.name).symlink_to(path)
        ready = self.folder / ".venv" / ".ready"
        ready.unlink(missing_ok=True)
        ready.touch()
        # Later than what a release changes.
        os.utime(ready, (ready.stat().st_mtime + 86400,) * 2)

    def run(self, commands: Sequence[Command]) -> None:
        """Execute commands, and compare what they print with what the document shows."""
        done = self._execute(self._script(commands))
        self.printed = done.stdout.split(f"\n{END}\n")[:-1]
        assert done.returncode == 0, f"{commands[len(self.printed)].text}\n{done.stdout}\n{done.stderr}"
        for command, printed in zip(commands, self.printed, strict=True):
            for text, change in self.changes.items():
                printed = printed.replace(change, text)
            assert not command.output or agree(printed, command.output), f"{command.text}\n{printed}"

    def _script(self, commands: Sequence[Command]) -> str:
        lines = [PRELUDE, f"AT={self.ports.get('', '$PORT')}"]
        for command in commands:
            text = command.text
            for old, new in self.changes.items():
                text = text.replace(old, new)
            server = next((flags for start, flags in FLAGS.items() if start in text), None)
            if server is None:
                # Without the braces the shell would go on after a failure in a list: `false && true`.
                lines += [f"at {self.ports.get(command.block.section, '$AT')}", f"{{ {text}\n}} || exit 1"]
            else:
                text = f"{text.removesuffix(' &')}{server} >server.log 2>&1 &"
                lines += ["stop", text, "await", "AT=$PORT"]
            lines.append(f"printf '\\n%s\\n' '{END}'")
        return "\n".join(lines)

    def _execute(self, script: str) -> "subprocess.CompletedProcess[str]":
        others = ("PREDICTOR_", "MAKE")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
        programs = (str(self.folder / "bin"), str(Path(sys.executable).parent), kept["PATH"])
        own = {
            "PATH": os.pathsep.join(programs),
            "CURL_HOME": str(self.folder),
            "PORT": str(free_port()),
            "GRPC_PORT": str(free_port()),
            "PREDICTOR_DRAIN_SECONDS": "0",
            "GIT_EDITOR": "false",
        }
        (self.folder / "script").write_text(script)
        process = subprocess.Popen(
            ["bash", "script"],
            cwd=self.folder,
            env=kept | own | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with _ended_with_its_children(process):
            printed, said = process.communicate()
        return subprocess.CompletedProcess(script, process.returncode, printed, said)


def agree(printed: str, shown: str) -> bool:
    """Return whether a command printed what the document shows, up to what varies."""
    parts = re.split(f"({'|'.join(VARYING)})", shown.strip())
    pattern = "".join(
        next((other for form, other in VARYING.items() if re.fullmatch(form, part)), re.escape(part))
        for part in parts
    )
    found = re.fullmatch(pattern, printed.replace("\r", "").strip(), re.DOTALL)
    numbers = [float(part) for part in parts if re.fullmatch(LONG, part)]
    return found is not None and all(
        math.isclose(float(one), other, rel_tol=1e-9)
        for one, other in zip(found.groups(), numbers, strict=True)
    )


@contextlib.contextmanager
def _ended_with_its_children(process: "subprocess.Popen[str]") -> Iterator[None]:
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
