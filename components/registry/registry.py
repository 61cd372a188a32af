"""The registry: versions, of which one is the champion, registered so that a crash at any point does no harm.

A registration is a row of writes, each atomic, in an order that leaves the old champion in place and
complete until the last but one: version, folder, ``challenger``, decision, ``previous_champion``,
``champion``, and the mark that the run is done. Running again resumes after the last write.
"""

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from components.data.compare import Entry
from components.data.rows import RowSketch
from components.registry import signing
from components.registry.decision import Decision
from components.registry.folders import FolderError, Folders, local_path, open_folders
from components.registry.index import (
    CHALLENGER,
    CHAMPION,
    RUN,
    WITHDRAWN,
    Index,
    Version,
    open_index,
    run_tag,
)
from predictor.model import artifact
from predictor.model.evaluation import Evaluation

UNFINISHED = "registering"
DECISION = "decision"
# Number of versions whose comparisons the gate gets, to count looks at the same rows.
REMEMBERED = 1000
# How long an earlier registration may be silent before it counts as dead, in seconds. On a server only.
LEASE = 60.0
POLL_SECONDS = 1.0


class RegistryError(Exception):
    """The registry is inconsistent, or the request is invalid."""


@dataclass(frozen=True, slots=True)
class Registration:
    """The outcome of a run.

    Attributes:
        version: the number its model has.
        uri: the folder of that version.
        decision: of the gate.
        champion: the number of the champion now, if there is one.
        champion_uri: the folder of the champion.
    """

    version: int
    uri: str
    decision: Decision
    champion: int | None
    champion_uri: str | None


class Registry:
    """The versions of one model: an index of them, and their immutable folders."""

    def __init__(self, index: Index, folders: Folders) -> None:
        self._index = index
        self._folders = folders

    def champion(self) -> Version | None:
        """Return the version to be served; None without one."""
        number = self._index.aliases().get(CHAMPION)
        return None if number is None else self._index.version(number)

    def version(self, number: int) -> Version:
        """Return a version by its number.

        Raises:
            RegistryError: there is none.
        """
        if found := self._index.find(number):
            return found
        raise RegistryError(f"there is no version {number}")

    def has(self, number: int) -> bool:
        """Return whether there is a version with this number."""
        return self._index.find(number) is not None

    def begin_run(self, run_id: str, name: str) -> str:
        """Return MLflow's id of a pipeline run, created if needed; empty if MLflow refuses."""
        return self._index.begin_run(run_id, name)

    def end_run(
        self,
        tracked: str,
        parameters: Mapping[str, Any],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        reports: Iterable[Path],
    ) -> None:
        """Write the results of a pipeline run.

        Args:
            tracked: MLflow's id of the run.
            parameters: by name.
            metrics: by name; those that are not finite are left out.
            tags: by name.
            reports: files for people. A store that does not take them is no error.
        """
        self._index.end_run(tracked, parameters, metrics, tags, reports)

    def note(self, number: int, key: str, value: str) -> None:
        """Set a tag of a version."""
        self._index.tag(number, key, value)

    def withdraw(self, number: int, reason: str, successor: int | None) -> None:
        """Withdraw a version: only `restore` makes it champion again, even if a run trains the same model.

        Args:
            number: of the version.
            reason: for people.
            successor: the new champion; None without one.
        """
        with self._index.exclusive():
            mark = {"reason": reason, "successor": successor}
            self._index.tag(number, WITHDRAWN, json.dumps(mark))
            if successor is not None:
                self._index.point(CHAMPION, successor)

    def restore(self, number: int, reason: str) -> None:
        """Make a version the champion by hand; the present champion is withdrawn."""
        champion = self.champion()
        with self._index.exclusive():
            if self.version(number).withdrawn:
                self._index.tag(number, WITHDRAWN, "")
        if champion and champion.number != number:
            self.withdraw(champion.number, reason, number)
        else:
            self._index.point(CHAMPION, number)

    def settle(self) -> None:
        """Finish a withdrawal that was interrupted between its two writes."""
        champion = self.champion()
        if champion and champion.withdrawn:
            successor = json.loads(champion.tags[WITHDRAWN])["successor"]
            if successor is not None:
                self._index.point(CHAMPION, successor)

    def uri(self, version: Version) -> str:
        """Return the URI or path of a version's folder."""
        return self._folders.uri(version.number)

    def entry(self, version: Version) -> Entry:
        """Read and verify a version, to score it.

        Raises:
            FolderError: it is missing, damaged, or not the model the index knows.
        """
        model, digest = self._folders.load(version.number)
        if digest != version.digest:
            raise FolderError(f"version {version.number} holds the model {digest}, not {version.digest}")
        return Entry(model, digest, version.number, version.training)

    def judged_on(self, other_than: str) -> list[RowSketch]:
        """Return the held-out rows of each comparison with a champion, one for a version, newest first.

        Args:
            other_than: digest of a model whose own comparison is left out: judging it again is no new look.
        """
        others = (decision for version, decision in self.decisions() if version.digest != other_than)
        return [decision.judged_on for decision in others if decision.judged_on]

    def decisions(self) -> Iterator[tuple[Version, Decision]]:
        """Yield the versions that the gate has judged, the newest first, with its decisions."""
        for version in self._index.latest(REMEMBERED):
            if DECISION in version.tags:
                yield version, Decision.from_json(version.tags[DECISION])

    def answered(self) -> str:
        """Return the days whose drift the last attempt of a retraining has answered, promoted or refused.

        Empty where there was none. A run that failed before its model was registered is no attempt.
        """
        runs = (
            json.loads(value)
            for version in self._index.latest()
            for name, value in version.tags.items()
            if name.startswith(RUN) and value != UNFINISHED
        )
        return max((str(run.get("answers", "")) for run in runs), key=_last_day, default="")

    def register(
        self,
        folder: str | Path,
        run_id: str,
        lineage: Mapping[str, str],
        decide: Callable[[Version | None], Decision],
        evaluation: Evaluation | None = None,
    ) -> Registration:
        """Make the model a version and ``challenger``; if the gate says so, also ``champion``.

        The run id is the identity: a run that is done is not touched again. A model that has a version,
        whichever run brought it, keeps that one.

        Args:
            folder: of the model; verified first.
            run_id: of the pipeline run.
            lineage: tags for the version, such as the data's fingerprint.
            decide: the gate. Called with the champion of this moment, and again should that change meanwhile.
            evaluation: how good the model is on held-out rows, for its folder.

        The folder says where the model comes from, and is signed if a key is there (`signing.find_signer`).

        Raises:
            RegistryError: the run was registered with another model.
            SigningError: the key can't be used; nothing is written.
        """
        _, digest = artifact.read(folder)
        key = run_tag(run_id)
        signer = signing.find_signer()
        with self._index.exclusive():
            version = self._index.by_run(run_id)
            if version and version.digest != digest:
                raise RegistryError(
                    f"run {run_id} is version {version.number}, with another model: {version.digest}"
                )
            if version and version.tags[key] != UNFINISHED:
                return self._result(version, Decision.from_json(version.tags[key]))
            expected = decide(self.champion())  # a gate that can't decide fails before anything is written
            known = {**lineage, "run_id": run_id}
            if version is None:
                version = self._index.by_digest(digest) or self._create(digest, key, known)
            found = signing.provenance_of(self._folders.name, version.number, digest, known, expected)
            with signing.registered_folder(Path(folder), evaluation, found, signer) as complete:
                self._folders.publish(complete, version.number)
            self._index.point(CHALLENGER, version.number)
            if self._index.shared:
                self._await_turn(version)
            decision = self._promote_if_better(version, run_id, decide)
            about = {name: lineage.get(name, "") for name in ("reason", "answers")}
            self._index.tag(version.number, key, decision.to_json(**about))
            return self._result(version, decision)

    def _create(self, digest: str, key: str, lineage: Mapping[str, str]) -> Version:
        self._index.create_model()
        number = max((version.number for version in self._index.latest(1)), default=0) + 1
        tags = {**lineage, "digest": digest, key: UNFINISHED}
        while (version := self._index.create(self._folders.uri(number), tags)).number != number:
            # Another was faster, or the last number was deleted: this one names a place that is not its own.
            self._index.delete(version.number)
            number = version.number + 1
        return version

    def _promote_if_better(
        self, version: Version, run_id: str, decide: Callable[[Version | None], Decision]
    ) -> Decision:
        while True:
            champion = self.champion()
            if champion and champion.number == version.number:
                return self._confirm(champion, run_id)
            decision = decide(champion)
            if decision.promote and (why := self._index.version(version.number).withdrawn):
                reason = f"version {version.number} was withdrawn, and stays so until it is put back: {why}"
                decision = replace(decision, promote=False, reasons=(*decision.reasons, reason))
            self._index.tag(version.number, DECISION, decision.to_json(run_id=run_id))
            if not decision.promote:
                return decision
            if champion:
                self._index.tag(version.number, "previous_champion", str(champion.number))
            present = self.champion()
            if (present and present.number) == (champion and champion.number):
                self._index.point(CHAMPION, version.number)
                return decision

    def _confirm(self, champion: Version, run_id: str) -> Decision:
        """Return the decision on the present champion, promoted by this run before a crash, or earlier."""
        made = champion.tags.get(DECISION, "{}")
        if json.loads(made).get("run_id") == run_id:
            return Decision.from_json(made)
        return Decision(
            promote=False, reasons=(f"this model is the champion already, version {champion.number}",)
        )

    def _await_turn(self, version: Version) -> None:
        """Wait for earlier registrations, in the order of their version numbers."""
        while any(
            earlier.number < version.number
            and earlier.tags.get(run_tag(earlier.tags["run_id"])) == UNFINISHED
            and time.time() - earlier.created < LEASE
            for earlier in self._index.latest()
            if "run_id" in earlier.tags
        ):
            time.sleep(POLL_SECONDS)

    def _result(self, version: Version, decision: Decision) -> Registration:
        champion = self.champion()
        return Registration(
            version=version.number,
            uri=self.uri(version),
            decision=decision,
            champion=champion.number if champion else None,
            champion_uri=self.uri(champion) if champion else None,
        )


MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def check_places(root: str | Path, tracking_uri: str, name: str) -> Index:
    """Return the index for a root, a tracking URI and a name that go together; nothing is opened yet.

    Raises:
        ValueError: they do not go together, or the name is no name of a folder.
    """
    if not MODEL_NAME.fullmatch(name):
        raise ValueError(
            f"a model's name has letters, digits, '.', '_' and '-', at most 200, and begins with a letter or "
            f"a digit; not {name!r}"
        )
    path = local_path(root)
    index = open_index(tracking_uri, name, default=path / "mlflow.db" if path else None)
    if path and index.shared:
        raise ValueError(
            f"a tracking server can't reach folders on this machine ({path}): "
            "name an object store as root, such as s3://bucket/prefix"
        )
    return index


def open_registry(root: str | Path, tracking_uri: str = "", name: str = "linear-regressor") -> Registry:
    """Open the registry with its folders under ``root`` and its index at ``tracking_uri``.

    Args:
        root: a folder, or the URI of an object store such as ``s3://bucket/prefix``.
        tracking_uri: of an MLflow server, or ``sqlite:///path``; by default ``mlflow.db`` in a local root.
        name: of the registered model.

    Raises:
        ValueError: no index is named for an object store, a server is asked to index local folders, or the
            name is no name of a folder.
    """
    return Registry(check_places(root, tracking_uri, name), open_folders(root, name))


def _last_day(days: str) -> str:
    return days.rpartition("/")[2]
