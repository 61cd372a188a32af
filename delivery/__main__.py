"""The commands that the Makefile's targets for releases and deployments call."""

import argparse
import datetime as dt
import json
import sys
from collections.abc import Callable
from pathlib import Path

from delivery import changelog, chart, packages, version
from delivery.changelog import ChangelogError
from delivery.chart import ChartError
from delivery.packages import PackageError
from delivery.version import VersionError

ERRORS = (VersionError, ChangelogError, PackageError, ChartError)


def check_version(options: argparse.Namespace) -> None:
    """Print the version, and refuse a place that has another one; of a tag, CHANGELOG.md has to be too."""
    expected = options.tag.removeprefix("v") if options.tag else version.current(options.root)
    version.check(expected, options.root)
    newest = next(iter(changelog.headings(_changelog(options).read_text())), None)
    if options.tag and newest != expected:
        raise ChangelogError(f"the newest version in CHANGELOG.md is {newest}, not {expected}")
    print(expected)


def set_version(options: argparse.Namespace) -> None:
    """Write a new version everywhere, and its heading into the changelog."""
    file = _changelog(options)
    today = dt.datetime.now(dt.UTC).date()
    text = changelog.release(file.read_text(), options.version, today.isoformat())
    changed = version.change(options.version, options.root)
    file.write_text(text)
    print("\n".join([*changed, file.name]))


def notes(options: argparse.Namespace) -> None:
    """Print what CHANGELOG.md says of a version."""
    print(_notes(options, options.version), end="")


def check_packages(options: argparse.Namespace) -> None:
    """Check wheel and sdist."""
    for path in packages.check(options.folder, options.root):
        print(path)


def package_chart(options: argparse.Namespace) -> None:
    """Package the chart with the images of a release."""
    digests = json.loads(options.images.read_text())
    text = _notes(options, version.current(options.root))
    print(chart.package(options.root, options.folder, options.registry, digests, options.source, text))


def _changelog(options: argparse.Namespace) -> Path:
    file: Path = options.root / "CHANGELOG.md"
    return file


def _notes(options: argparse.Namespace, name: str) -> str:
    """Return a version's notes; before its heading is there, what is unreleased."""
    text = _changelog(options).read_text()
    return changelog.notes(text, name if name in changelog.headings(text) else changelog.UNRELEASED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m delivery", description=__doc__)
    parser.add_argument(
        "--root", type=Path, default=version.ROOT, help="of the repository; this one by default"
    )
    commands = parser.add_subparsers(required=True)

    def add(name: str, run: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=run.__doc__, description=run.__doc__)
        command.set_defaults(run=run)
        return command

    add("version", check_version).add_argument("--tag", help="that is to be released, such as v1.2.3")
    add("set-version", set_version).add_argument("version", help="such as 1.2.3 or 1.2.3-rc.1")
    add("notes", notes).add_argument("version")
    add("check-packages", check_packages).add_argument("folder", type=Path, help="that holds them")
    command = add("package-chart", package_chart)
    command.add_argument("folder", type=Path, help="to write the archive to")
    command.add_argument("--registry", required=True, help="of the images, such as ghcr.io/team")
    command.add_argument("--images", type=Path, required=True, help="a JSON file with their digests by name")
    command.add_argument("--source", required=True, help="the address of the repository")
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Run one command; a problem that it names ends it with the status 1."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except ERRORS as error:
        print(f"ERROR: {error}", file=sys.stderr)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
