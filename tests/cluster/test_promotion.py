"""An apply or an upgrade changes the served version when it is told to, and never otherwise."""

from tests.cluster.installers import NAMESPACE, Installer, Settings
from tests.cluster.kube import get, wait_for
from tests.cluster.service import Service


def promoted(service: Service, version: str) -> set[str]:
    """Promote a version, wait until it alone is served, and return the pods that serve it."""
    service.promote(version)
    service.settle(version, pods=2)
    return service.uids()


def test_a_promoted_version_outlives_every_apply_that_names_none(
    installer: Installer, service: Service, image: str
) -> None:
    silent = Settings(image, version=None)
    installer.apply(silent)
    wait_for("the InferenceService", lambda: get("-n", NAMESPACE, "inferenceservices")["items"])
    for version in ("1", "2"):
        standing = promoted(service, version)
        installer.apply(silent)
        installer.apply(silent.but(maximum=4))
        service.settle(version, pods=2)
        assert service.uids() == standing, "and nothing is restarted"


def test_an_upgrade_that_repeats_its_values_or_says_nothing_keeps_what_was_promoted(
    installer: Installer, service: Service, image: str
) -> None:
    told = Settings(image, version="3")
    installer.apply(told)
    service.settle("3", pods=2)
    standing = promoted(service, "1")
    installer.apply(told)
    installer.apply(told.but(version=None))
    service.settle("1", pods=2)
    assert service.uids() == standing
