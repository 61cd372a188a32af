"""What belongs to a cluster only is not part of a run on one machine."""

from components.registry.signing import IMAGE
from components.runtime import pods
from pipeline import linear_regressor


def test_a_run_on_one_machine_has_no_retries_and_names_no_image() -> None:
    spec = linear_regressor.pipeline_spec
    before = str(spec)
    assert "retry_policy" in before
    assert IMAGE in before
    with pods.on_this_machine(linear_regressor, [IMAGE]):
        assert "retry_policy" not in str(spec)
        assert IMAGE not in str(spec)
    assert str(spec) == before
