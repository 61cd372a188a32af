import re
from dataclasses import replace

from components.reports.cards import UNWRITTEN, Subject, data_card, model_card
from predictor.model.inputs import Column, Input
from tests.support.models import linear_model, mixed_model, tree_model

TAGS = {
    "metric.mse": "4.0",
    "metric.mae": "1.5",
    "metric.r2": "0.75",
    "held_out_rows": "300",
    "data_source": "s3://prices/2026.csv",
    "dataset_fingerprint": "cbf6",
    "git_commit": "5c7a",
    "reason": "drift",
}
SUBJECT = Subject(
    name="prices",
    version=3,
    status="champion",
    created=1_700_000_000.0,
    digest="aae5",
    model=linear_model(
        (2.0,), features=[Input("size", 10.0, 200.0, "m²")], target=Column("price", 1.0, 9.0, "€")
    ),
    tags=TAGS,
    reasons=("better by 5 %",),
)


def test_model_card_says_what_the_version_is_and_how_good() -> None:
    lines = model_card(SUBJECT).splitlines()
    assert lines[0] == "# Model card: prices, version 3"
    assert "| status | champion |" in lines
    assert "| registered | 2023-11-14T22:13:20+00:00 |" in lines
    assert "| code | 5c7a |" in lines
    assert "| size | number | m² | 10 to 200 | is refused |" in lines
    assert "On 300 held-out rows:" in lines
    assert "| root mean squared error | 2 |" in lines
    assert "- better by 5 %" in lines
    assert lines.count(UNWRITTEN) == 2


def test_data_card_says_what_the_version_learned_from() -> None:
    lines = data_card(SUBJECT).splitlines()
    assert "| source | s3://prices/2026.csv |" in lines
    assert "| training rows in the distributions | 101 |" in lines
    assert "| target | price, from 1 to 9 |" in lines
    assert [line for line in lines if line.startswith("| size | number | m² | 10 to 200 | 105 | ")]


def test_cards_show_booleans_categories_and_what_replaces_a_missing_value() -> None:
    subject = replace(SUBJECT, model=mixed_model())
    assert '| city | category |  | "Bern", "Zürich", "Genf, Nord" | Zürich |  |' in data_card(subject)
    card = model_card(subject)
    assert "| age | number | years | 18 to 90 | is refused |" in card
    assert re.search(r"\| income \| number \|  \| 0 to 9 \| counts as [\d.]+ \|", card)
    assert re.search(
        r"\| member \| boolean \|  \| true, false \| (is refused|counts as (true|false)) \|", card
    )


def test_cards_list_ten_categories_and_count_the_others() -> None:
    names = tuple(f"c{number}" for number in range(12))
    model = tree_model(inputs=(Input("city", 0.0, 11.0, type="category", categories=names),))
    assert ', "c9" and 2 more |' in model_card(replace(SUBJECT, model=model))


def test_markup_in_names_does_not_reach_the_document() -> None:
    names = ("<b>|\n# x", "b")
    model = tree_model(inputs=(Input("city", 0.0, 1.0, type="category", categories=names),))
    card = model_card(replace(SUBJECT, model=model, reasons=("<script>",)))
    assert '"&lt;b&gt;\\|\\n# x", "b"' in card
    assert "<script>" not in card


def test_a_version_without_scores_and_lineage_has_cards_too() -> None:
    subject = replace(SUBJECT, tags={}, reasons=())
    assert "On an unknown number of held-out rows:" in model_card(subject)
    assert "| fingerprint" not in data_card(subject)


def test_a_kind_without_exact_explanations_says_so() -> None:
    assert "no exact explanation" in model_card(replace(SUBJECT, model=tree_model()))
