"""The change that a GitOps repository commits: the release that Argo CD or Flux installs."""

import re
from pathlib import Path

from delivery.version import VERSION, VersionError

_REVISION = re.compile(rf"^(?P<before> *(?:targetRevision|tag): )(?:{VERSION})$", re.MULTILINE)


def set_revision(file: Path, version: str) -> None:
    """Write a release into every ``targetRevision`` (Argo CD) and ``tag`` (Flux) of a file.

    Raises:
        VersionError: it is not a version, or the file names none.
    """
    if not re.fullmatch(VERSION, version):
        raise VersionError(f"{version!r} is not a version: it needs the form 1.2.3 or 1.2.3-rc.1")
    text, changed = _REVISION.subn(rf"\g<before>{version}", file.read_text())
    if not changed:
        raise VersionError(f"{file} has no line such as: targetRevision: 1.2.3, or: tag: 1.2.3")
    file.write_text(text)
