"""The admission policy of the chart admits the folders of one registry, if one is named."""

import pytest

from tests.manifests.rendering import NAME, Object, find, render_chart

POLICY = f"{NAME}.{NAME}.registry-root"


def policies(root: str) -> list[Object]:
    """Return the policy and its binding, if there are any."""
    return [
        found
        for found in render_chart({"model": {"registryRoot": root}})
        if found["metadata"]["name"] == POLICY
    ]


def test_without_a_root_there_is_no_policy() -> None:
    assert policies("") == []


@pytest.mark.parametrize("root", ["s3://prices/team", "s3://prices/team/"])
def test_only_folders_below_the_models_of_the_root_are_admitted(root: str) -> None:
    policy = find(policies(root), "ValidatingAdmissionPolicy", POLICY)["spec"]
    place, other = (validation["expression"] for validation in policy["validations"])
    assert "storageUri.startsWith('s3://prices/team' + '/models/')" in place
    assert "!object.spec.predictor.model.storageUri.contains('..')" in place
    assert other == "!has(object.spec.predictor.model.storage)"
    assert policy["failurePolicy"] == "Fail"
    (condition,) = policy["matchConditions"]
    assert condition["expression"] == f"object.metadata.name in ['{NAME}', '{NAME}-canary']"


def test_what_is_not_admitted_is_denied() -> None:
    binding = find(policies("s3://prices"), "ValidatingAdmissionPolicyBinding", POLICY)["spec"]
    assert binding == {"policyName": POLICY, "validationActions": ["Deny"]}
