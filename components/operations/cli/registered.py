"""The options that name a registry, and opening it."""

import argparse
from typing import TYPE_CHECKING

from components.operations.cli.errors import CommandError

if TYPE_CHECKING:
    from components.registry.registry import Registry

NAME = "linear-regressor"


def add_options(parser: argparse.ArgumentParser, root: str | None = None) -> None:
    """Add the options that name the registry and the model; the registry is required without a default."""
    parser.add_argument(
        "--registry-root",
        required=root is None,
        default=root,
        help="the folder or bucket of the models, such as s3://bucket/prefix"
        + ("" if root is None else " (%(default)s)"),
    )
    parser.add_argument("--tracking-uri", default="", help="the address of the MLflow server")
    parser.add_argument("--model-name", default=NAME, help="the name of the registered model (%(default)s)")


def open_named(options: argparse.Namespace) -> "Registry":
    """Open the registry that the options name.

    Raises:
        CommandError: it can't be opened.
    """
    from components.registry.registry import open_registry

    try:
        return open_registry(options.registry_root, options.tracking_uri, options.model_name)
    except (ValueError, OSError) as error:
        raise CommandError(str(error)) from error
