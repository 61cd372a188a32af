"""The command line: the flags of KServe that have an effect on this server, and ``--model_dir``.

KServe's parser also has flags for its own server and for transformers. They have no effect here, so any value
but the default is an error.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from kserve import model_server

_USED = {
    "enable_grpc", "grpc_max_receive_message_length", "grpc_max_send_message_length", "grpc_port", "help",
    "http_port", "model_dir", "model_name", "ssl_certfile", "ssl_keyfile", "timeout_keep_alive",
}  # fmt: skip
_ALSO_ACCEPTED = {"event_loop": "uvloop"}


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the flags; its help shows those that have an effect."""
    parser = argparse.ArgumentParser(
        prog="predictor",
        description="Serve a model folder. More settings are read from PREDICTOR_... environment variables.",
        parents=[model_server.parser],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.set_defaults(model_name="linear-regressor")
    parser.add_argument("--model_dir", type=Path, help="the model folder (PREDICTOR_MODEL_DIR)")
    for action in _unused(parser):
        action.help = argparse.SUPPRESS
    return parser


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; an error in it ends the process with status 2 and a message."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    for action in _unused(parser):
        value = getattr(options, action.dest)
        if value not in (action.default, _ALSO_ACCEPTED.get(action.dest, action.default)):
            advice = "run more pods instead" if action.dest == "workers" else "remove it"
            parser.error(f"{action.option_strings[0]} has no effect on this server; {advice}")
    return options


def _unused(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in parser._actions if action.dest not in _USED]  # noqa: SLF001  has no public name
