"""The commands that the Makefile's targets for releases and deployments call."""

import argparse
import datetime as dt
import json
import os
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

from delivery import changelog, chart, gitops, packages, version
from delivery.changelog import ChangelogError
from delivery.chart import ChartError
from delivery.deploy import DeployError, Helm, deploy
from delivery.packages import PackageError
from delivery.smoke.checks import Checks, await_served
from delivery.smoke.rows import RowsError
from delivery.smoke.target import Http, SmokeError, Target
from delivery.version import VersionError

ERRORS = (VersionError, ChangelogError, PackageError, ChartError, RowsError, DeployError, SmokeError)


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


def set_revision(options: argparse.Namespace) -> None:
    """Write a release into the files that Argo CD or Flux follows."""
    for file in options.files:
        gitops.set_revision(file, options.version)


def smoke(options: argparse.Namespace) -> None:
    """Test every endpoint of a deployed predictor."""
    _smoke(_target(options), options.wait)


def deploy_release(options: argparse.Namespace) -> None:
    """Upgrade a release of helm, test it at its public address, and roll it back if a test fails."""
    target = _target(options)

    def test(release: str) -> str | None:
        # What an earlier revision served, nobody said.
        expected = replace(target, release=release, version=target.version if release else "")
        try:
            _smoke(expected, options.wait)
        except SmokeError as failed:
            return str(failed)
        return None

    helm = Helm(options.release_name, options.namespace)
    deploy(helm, options.chart, options.chart_version, options.values, test, seconds=options.wait)


def _smoke(target: Target, wait: float) -> None:
    """Wait for what is expected, run every check, and print what each saw.

    Raises:
        SmokeError: a check failed.
    """
    await_served(target, wait)
    with target.client() as client:
        found = list(Checks(target, Http(client)).run())
    for name, problem, seen in found:
        print(f"{'FAIL' if problem else 'ok  '}  {name:<22}  {problem or seen}")
    if failed := [name for name, problem, _ in found if problem]:
        raise SmokeError(f"{len(failed)} of {len(found)} checks failed at {target.url}: {', '.join(failed)}")
    print(f"{len(found)} checks passed at {target.url}")


def _target(options: argparse.Namespace) -> Target:
    names = [field.name for field in fields(Target) if field.name != "api_key"]
    found = {name: getattr(options, name) for name in names if hasattr(options, name)}
    return Target(**found, api_key=os.environ.get("API_KEY", ""))


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
        "--root", type=Path, default=version.ROOT, help="the folder of the repository; this one by default"
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
    command.add_argument("--registry", required=True, help="the registry of the images, such as ghcr.io/team")
    command.add_argument("--images", type=Path, required=True, help="a JSON file with their digests by name")
    command.add_argument("--source", required=True, help="the address of the repository")
    command = add("gitops", set_revision)
    command.add_argument("version", help="such as 1.2.3")
    command.add_argument("files", type=Path, nargs="+", help="with an Application or an OCIRepository")
    command = add("smoke", smoke)
    _add_target(command, wait=0)
    command.add_argument("--release", default="", help="the release of the software that has to answer")
    command.add_argument(
        "--direct", action="store_true", help="the address is the predictor's own, so /metrics may answer"
    )
    command = add("deploy", deploy_release)
    _add_target(command, wait=600)
    command.add_argument("--release-name", required=True, help="the name of the Helm release")
    command.add_argument("--namespace", required=True)
    command.add_argument(
        "--chart", required=True, help="a folder, an archive, or an address such as oci://..."
    )
    command.add_argument("--chart-version", default="", help="the version of the chart, if it is an address")
    command.add_argument(
        "--values", type=Path, action="append", default=[], help="a file; may be given again"
    )
    return parser


def _address(text: str) -> str:
    """Check that an address has a scheme, without which no host is found in it."""
    if text and not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text} does not begin with http:// or https://")
    return text


def _add_target(command: argparse.ArgumentParser, wait: float) -> None:
    """Add what the smoke test needs; an API key is read from API_KEY."""
    command.epilog = "An API key is read from the variable API_KEY."
    command.add_argument(
        "--url", type=_address, required=True, help="the public address, such as https://prices.example.com"
    )
    command.add_argument(
        "--host", default="", help="the host name to send, if the address is that of a gateway"
    )
    command.add_argument(
        "--grpc",
        type=_address,
        default="",
        help="the address of gRPC, such as https://grpc.prices.example.com",
    )
    command.add_argument(
        "--grpc-host", default="", help="the host name to send to a gateway's address for gRPC"
    )
    command.add_argument("--model", default="linear-regressor", help="the name of the model (%(default)s)")
    command.add_argument("--version", default="", help="the version of the model that has to answer")
    command.add_argument(
        "--answers", type=Path, help="a JSON file of rows and answers; without, endpoints are compared"
    )
    command.add_argument(
        "--latency",
        type=float,
        default=500,
        help="milliseconds that the median request may take (%(default)s)",
    )
    command.add_argument(
        "--wait",
        type=float,
        default=wait,
        help="seconds until release and version have to answer (%(default)s)",
    )


def main(arguments: list[str] | None = None) -> None:
    """Run one command; a problem that it names ends it with the status 1."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except ERRORS as error:
        print(f"ERROR: {error}", file=sys.stderr)
        raise SystemExit(getattr(error, "status", 1)) from error


if __name__ == "__main__":
    main()
