"""KServe's V1 protocol: ``:predict`` and ``:explain``."""

from functools import partial

from predictor.web.openapi.build import Json, array, content, one_of, operation, record
from predictor.web.openapi.shapes import Subject, value

TAG = "KServe V1"
ABOUT = "KServe's first protocol."


def schemas(subject: Subject) -> dict[str, Json]:
    """Return the schemas of this protocol; those of explanations only for a model that explains."""
    columns = record(
        {one.name: array(value(one), minItems=1) for one in subject.model.inputs},
        description="A list of values for each feature, all of the same length. Other members are ignored.",
    )
    request = one_of("V1Instances", "V1Inputs", "V1ColumnInputs")
    found = {
        "V1Request": {**request, "description": "Other members are ignored."},
        "V1Instances": record({"instances": "Instances"}),
        "V1Inputs": record({"inputs": "Instances"}),
        "V1ColumnInputs": record({"inputs": "V1Columns"}),
        "V1Columns": columns,
    }
    if subject.explanations:
        found["Explanation"] = record(
            {"prediction": "Prediction", "intercept": "number", "contributions": "Contributions"},
            description="The contributions, added up in order, plus the intercept give the prediction.",
        )
        found["Contributions"] = record(dict.fromkeys(subject.names, "number"))
        found["ExplainResponse"] = record({"explanations": array("Explanation", minItems=1)})
    return found


def paths(subject: Subject) -> dict[str, Json]:
    """Return the paths of this protocol; ``:explain`` only for a model that explains."""
    post = partial(operation, TAG, body=content("V1Request", rows={"instances": subject.rows}))
    predict = post(
        "v1Predict",
        "Predict rows",
        "A prediction for each row, in order.",
        content("BatchResponse", predictions={"predictions": subject.predictions}),
        404,
        description="A row is a list of values, or an object by feature name.",
        scope="predict",
    )
    found = {"/v1/models/{model}:predict": {"post": predict}}
    if subject.explanations:
        explain = post(
            "v1Explain",
            "Explain predictions",
            "For each row its prediction, and the contribution of each feature.",
            content("ExplainResponse", explanations={"explanations": subject.explanations}),
            404,
            description="A request may have a tenth of the rows that may be predicted at once.",
            scope="explain",
        )
        found["/v1/models/{model}:explain"] = {"post": explain}
    return found
