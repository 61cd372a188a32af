"""An apply or an upgrade changes the served version only if its own version setting changed."""

from tests.cluster.installers import NAMESPACE, Installer, Settings
from tests.cluster.kube import get, wait_for
from tests.cluster.service import Service


def promote(service: Service, version: str) -> set[str]:
    """Promote a version, wait until every pod serves it, and return the pods' UIDs."""
    service.promote(version)
    service.wait_for_version(version, pods=2)
    return service.uids()


def test_apply_without_a_version_keeps_the_promoted_version(
    installer: Installer, service: Service, image: str
) -> None:
    without_version = Settings(image, version=None)
    installer.apply(without_version)
    wait_for("the InferenceService", lambda: get("-n", NAMESPACE, "inferenceservices")["items"])
    for version in ("1", "2"):
        pods = promote(service, version)
        installer.apply(without_version)
        installer.apply(without_version.replace(maximum=4))
        service.wait_for_version(version, pods=2)
        assert service.uids() == pods, "no pod is restarted"


def test_upgrade_with_the_same_or_no_version_keeps_the_promoted_version(
    installer: Installer, service: Service, image: str
) -> None:
    settings = Settings(image, version="3")
    installer.apply(settings)
    service.wait_for_version("3", pods=2)
    pods = promote(service, "1")
    installer.apply(settings)
    installer.apply(settings.replace(version=None))
    service.wait_for_version("1", pods=2)
    assert service.uids() == pods
