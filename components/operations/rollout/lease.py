"""Allows one rollout at a time, by a Kubernetes Lease."""

import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from components.operations.rollout.api import Api, Object
from components.operations.rollout.clock import Clock
from components.operations.rollout.errors import ApiError, BusyError, RefusedError, RolloutError

OWNER = "linear-regressor/owner"
SECONDS = 15
RENEW_SECONDS = 4.0


class Lease:
    """The Lease ``<name>-rollout`` of the manifests, which also names the owner of version and weights.

    A holder is alive if the Lease changes while another job watches it. No two machines' clocks are compared.
    """

    def __init__(self, api: Api, namespace: str, name: str, clock: Clock) -> None:
        self._api = api
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}-rollout"
        self._clock = clock
        self._lost = threading.Event()
        self.identity = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"

    def owner(self) -> str:
        """Return who owns version and weights: ``job`` or ``git``.

        Raises:
            RolloutError: there is no Lease, or it names another owner.
        """
        owner = self._get()["metadata"].get("annotations", {}).get(OWNER, "")
        if owner not in ("job", "git"):
            raise RolloutError(f"the Lease's annotation {OWNER} is {owner!r}, neither 'job' nor 'git'")
        return str(owner)

    @contextmanager
    def held(self, what: str, *, force: bool = False, patience: float = 0.0) -> Iterator["Lease"]:
        """Hold the Lease, and renew it, until the end of the ``with``.

        Args:
            what: what this job does, for others to read.
            force: take the Lease from a living holder, which then stops and writes nothing more.
            patience: how many seconds to wait while another job holds it.

        Raises:
            BusyError: another job holds it.
        """
        self._take(what, force=force, patience=patience)
        ended = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(ended,), daemon=True)
        renewing.start()
        try:
            yield self
        finally:
            ended.set()
            renewing.join()
            self._release()

    def check(self) -> None:
        """Check that this job still holds the Lease. Call it before each write.

        Raises:
            BusyError: another job took it.
        """
        holder = self._get()["spec"].get("holderIdentity", "")
        if self._lost.is_set() or holder != self.identity:
            raise BusyError(f"{holder or 'nobody'} took over; this job stops, and changes nothing more")

    def _take(self, what: str, *, force: bool, patience: float) -> None:
        lease = self._get() if force else self._await_free(patience)
        try:
            self._put(lease, self.identity, what)
        except ApiError as error:
            if error.status == 409:
                raise BusyError("another rollout began at the same moment") from error
            raise

    def _await_free(self, patience: float) -> Object:
        lease = self._get()
        begun = changed = self._clock.now()
        while lease["spec"].get("holderIdentity") and self._clock.now() < changed + SECONDS:
            self._clock.sleep(1)
            before, lease = lease, self._get()
            if lease["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]:
                continue
            changed = self._clock.now()
            if (holder := lease["spec"].get("holderIdentity")) and changed >= begun + patience:
                doing = lease["metadata"].get("annotations", {}).get("linear-regressor/doing", "a rollout")
                raise BusyError(f"{doing} is in progress, by {holder}")
        return lease

    def _renew(self, ended: threading.Event) -> None:
        while not ended.wait(RENEW_SECONDS):
            try:
                lease = self._get()
                if lease["spec"].get("holderIdentity") != self.identity:
                    self._lost.set()
                    return
                self._put(lease, self.identity, None)
            except ApiError:
                continue  # check() reads the Lease again before each write

    def _release(self) -> None:
        try:
            lease = self._get()
            if lease["spec"].get("holderIdentity") == self.identity:
                self._put(lease, "", "")
        except ApiError:
            return  # it expires by itself

    def _get(self) -> Object:
        try:
            item = self._api.get(self._path)
        except ApiError as error:
            if error.status == 404:
                raise RefusedError(
                    f"there is no {self._path.rsplit('/', 1)[1]}: rollouts are not installed here"
                ) from error
            raise
        item.setdefault("spec", {})
        return item

    def _put(self, lease: Object, holder: str, doing: str | None) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        annotations = {} if doing is None else {"annotations": {"linear-regressor/doing": doing or None}}
        spec = {"holderIdentity": holder or None, "leaseDurationSeconds": SECONDS, "renewTime": now}
        # With the version that was read, this patch fails if another job has changed the Lease since.
        meta = {"resourceVersion": lease["metadata"]["resourceVersion"], **annotations}
        self._api.patch(self._path, {"metadata": meta, "spec": spec})
