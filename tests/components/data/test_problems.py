"""Problems of the data, as a person reads them."""

from components.data.problems import InvalidDataError, Problem


def test_parts_of_a_parameter_are_given_in_one() -> None:
    problems = [
        Problem("id is an identifier", remedy='leave it out with exclude=["id"], or add max_categories=400'),
        Problem(
            "day holds dates", remedy='leave it out with exclude=["day"], or add types={"day": "category"}'
        ),
        Problem("zip is a number", remedy='add types={"zip": "category"}'),
        Problem("rooms is missing", remedy="add missing=drop"),
        Problem("other", remedy='leave it out with exclude=["in "quotes""]'),
    ]
    *_, last = str(InvalidDataError("flats.csv", problems)).splitlines()
    assert last == 'Together: exclude=["id", "day"], types={"day": "category", "zip": "category"}'


def test_a_single_remedy_is_not_repeated() -> None:
    problem = Problem("id is an identifier", remedy='leave it out with exclude=["id"]')
    assert "Together" not in str(InvalidDataError("flats.csv", [problem]))
