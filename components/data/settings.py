"""The settings of ingest: which columns are used, which rows are held out, which values are allowed."""

import difflib
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from components.data.problems import Problem
from predictor.model.artifact import reserved_names

DUPLICATES = ("report", "drop", "fail")
MISSING = ("fail", "drop", "mean")
UNKNOWN_CATEGORIES = ("fail", "ignore")
TYPES = ("number", "boolean", "category")
DECIMALS = (".", ",")
ALL_COLUMNS = "*"
# As JSON. Linux refuses a longer argument than 128 KiB, and a step gets its parameters as one.
LARGEST_PARAMETERS = 2**16
MIN_TRAIN_ROWS = 10
MIN_TEST_ROWS = 2
MIN_CATEGORIES, MAX_CATEGORIES = 2, 100
MAX_COLUMNS = 1000


@dataclass(frozen=True, slots=True)
class Settings:
    """The parameters of ingest.

    Attributes:
        features: the columns to learn from, in their order; ``*`` alone means all columns of the source but
            the target, ``order``, ``group``, those in ``exclude``, those without a name, and those whose
            names begin with an underscore, which are reserved for feedback.
        target: the column to predict.
        test_rows: how many of the last rows, in the order of the source, are held out.
        test_share: if positive, hold out this share of the rows instead, at random unless there is an order.
        order: a column of numbers or dates: the rows with its largest values are held out. Rows with equal
            values are on the same side, so that there may be more than asked for.
        group: a column: rows with equal values are held out together, or not at all.
        seed: of the random choice of rows or groups.
        duplicates: what to do with a row whose features and target all equal those of an earlier one:
            ``report`` counts it, ``drop`` leaves it out, ``fail`` refuses the data. With few or rounded
            columns equal rows are to be expected of honest measurements (the diabetes data has two by bmi and
            target, from different people), and leaving them out would bias the fit. So the default only
            reports them.
        kept_rows: of more rows than this, at most so many at random, and at least half as many, are what a
            search compares candidates on and what the distributions are of. The fit itself is to the moments
            of all.
        ranges: (lowest, highest) allowed value by column, either may be ``None``.
        units: of the columns that have one.
        exclude: columns that ``*`` leaves out.
        types: number, boolean or category, of features; otherwise it is found from the values.
        missing: what to do with missing values. ``fail`` refuses the data; ``drop`` leaves out the rows that
            lack one; ``mean`` fills in the mean of a number and the most frequent value of anything else,
            over the training rows, and the model does the same. With ``drop`` and ``mean``, rows without a
            target are left out. The other rows are held out or not as if none had been left out.
        max_categories: of one feature. A text with more different values looks like an identifier.
        max_columns: that a model may have, each category being one.
        unknown_categories: what to do with a category that no training row has: ``fail`` refuses it, in the
            held-out rows and when the model serves; ``ignore`` counts it as none of the known ones.
        decimal: the decimal point of numbers in text, ``.`` or ``,``.
    """

    features: Sequence[str] = ("bmi",)
    target: str = "target"
    test_rows: int = 20
    test_share: float = 0.0
    order: str = ""
    group: str = ""
    seed: int = 0
    duplicates: str = "report"
    kept_rows: int = 1_000_000
    ranges: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    exclude: Sequence[str] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    missing: str = "fail"
    max_categories: int = MAX_CATEGORIES
    max_columns: int = MAX_COLUMNS
    unknown_categories: str = "fail"
    decimal: str = "."

    @property
    def all_columns(self) -> bool:
        """Whether all columns are features, so that their names are known from the source alone."""
        return list(self.features) == [ALL_COLUMNS]

    @property
    def key(self) -> str:
        """The column that decides which rows are held out; empty if it is their position."""
        return self.order or self.group

    @property
    def columns(self) -> tuple[str, ...]:
        """The named columns that a model has: the features in their order, then the target."""
        return (self.target,) if self.all_columns else (*self.features, self.target)

    def features_among(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the features, given the names of all columns of a source."""
        if not self.all_columns:
            return tuple(self.features)
        others = {self.target, self.order, self.group, *self.exclude, *reserved_names(names)}
        return tuple(name for name in dict.fromkeys(names) if name.strip() and name not in others)

    def document(self) -> dict[str, Any]:
        """Return the settings as JSON can hold them."""
        return {**asdict(self), "features": list(self.features), "exclude": list(self.exclude)}

    def problems(self) -> list[Problem]:
        """Find invalid settings, before any data is read."""
        return [
            Problem(what)
            for what in (
                *self._column_problems(),
                *self._split_problems(),
                *self._value_problems(),
                *self._choice_problems(),
            )
        ] + self._size_problems()

    def name_problems(self, names: Sequence[str]) -> Iterator[Problem]:
        """Find names of columns that the source lacks, where all its columns are features."""
        if not self.all_columns:
            return
        given = {"exclude": self.exclude, "ranges": self.ranges, "units": self.units, "types": self.types}
        for parameter, columns in given.items():
            for name in columns:
                if name not in names:
                    yield Problem(f"{parameter} names {name!r}, which is not a column{meant(name, names)}")

    def _column_problems(self) -> Iterator[str]:
        if isinstance(self.features, str):
            yield f"features must be a list of names, not {self.features!r}"
            return
        for name in (*self.columns, *self.exclude):
            if not name or str(name) != name:
                yield f"{name!r} is not the name of a column"
        if not self.features:
            yield "no feature is named"
        for name, times in Counter(self.features).items():
            if times > 1:
                yield f"feature {name!r} is named {times} times"
        yield from (
            f"feature {name!r}: names that begin with an underscore are reserved for feedback"
            for name in reserved_names(map(str, self.features))
        )
        if self.target in self.features:
            yield f"the target {self.target!r} is among the features"
        if not self.all_columns:
            yield from self._named_column_problems()

    def _named_column_problems(self) -> Iterator[str]:
        if ALL_COLUMNS in self.features:
            yield f"the feature {ALL_COLUMNS!r} means all columns; give it alone, or name columns"
        if self.exclude:
            yield 'exclude is of use only with all columns as features: features=["*"]'
        for parameter, given in (("ranges", self.ranges), ("units", self.units), ("types", self.types)):
            for name in sorted(set(given) - set(self.columns)):
                yield (
                    f"{parameter} names {name!r}, which is neither a feature nor the target"
                    f"{meant(name, self.columns)}"
                )

    def _split_problems(self) -> Iterator[str]:
        if not 0 <= self.test_share < 1:
            yield f"test_share must be at least 0 and less than 1, not {self.test_share}"
        if self.test_share == 0 and self.test_rows < MIN_TEST_ROWS:
            yield f"test_rows must be at least {MIN_TEST_ROWS}, not {self.test_rows}"
        if self.order and self.group:
            yield "order and group exclude each other: the latest rows of every group would be held out"
        if self.group and not self.test_share:
            yield "group needs test_share, the share of the rows to hold out in whole groups"
        for name, column in (("order", self.order), ("group", self.group)):
            if column == self.target:
                yield f"{name} can't be the target {column!r}"

    def _value_problems(self) -> Iterator[str]:
        for name, bounds in self.ranges.items():
            if not _is_range(bounds):
                yield f"the range of {name!r} must be [lowest, highest], numbers or null, not {bounds!r}"
        for name, unit in self.units.items():
            if str(unit) != unit:
                yield f"the unit of {name!r} must be text, not {unit!r}"
        if not 0 <= self.seed < 2**32:
            yield f"seed must be at least 0 and less than 2**32, not {self.seed}"
        if self.kept_rows < MIN_TRAIN_ROWS:
            yield f"kept_rows must be at least {MIN_TRAIN_ROWS}, not {self.kept_rows}"
        if self.max_categories < MIN_CATEGORIES:
            yield f"max_categories must be at least {MIN_CATEGORIES}, not {self.max_categories}"
        if self.max_columns < 1:
            yield f"max_columns must be at least 1, not {self.max_columns}"

    def _size_problems(self) -> list[Problem]:
        """Find parameters that are too large to start a step with."""
        size = len(json.dumps(self.document(), default=str))
        if size <= LARGEST_PARAMETERS:
            return []
        what = f"features and the other parameters take {size:,} bytes; a step takes {LARGEST_PARAMETERS:,}"
        return [Problem(what, remedy=f'add features=["{ALL_COLUMNS}"], and exclude for the rest')]

    def _choice_problems(self) -> Iterator[str]:
        for parameter, given, known in (
            ("duplicates", self.duplicates, DUPLICATES),
            ("missing", self.missing, MISSING),
            ("unknown_categories", self.unknown_categories, UNKNOWN_CATEGORIES),
            *((f"the type of {name!r}", type_, TYPES) for name, type_ in self.types.items()),
        ):
            if given not in known:
                listed = ", ".join(known)
                yield f"{parameter} must be one of {listed}, not {given!r}{meant(str(given), known)}"
        if self.decimal not in DECIMALS:
            yield f"decimal must be '.' or ',', not {self.decimal!r}"
        if self.target in self.types:
            yield f"types names the target {self.target!r}, which is always a number"
        for name in self.ranges:
            if self.types.get(name, "number") != "number":
                yield f"ranges names {name!r}, which types says is not a number"


def meant(name: str, known: Iterable[str]) -> str:
    """Return a question that suggests a similar known name; empty if none is similar."""
    folded = {other.strip().casefold(): other for other in reversed(list(known))}
    close = difflib.get_close_matches(name.strip().casefold(), folded, n=1, cutoff=0.75)
    return f". Is {folded[close[0]]!r} meant?" if close else ""


def _is_range(bounds: object) -> bool:
    if not isinstance(bounds, Sequence) or isinstance(bounds, str) or len(bounds) != 2:
        return False
    low, high = (
        default if bound is None else bound
        for bound, default in zip(bounds, (-math.inf, math.inf), strict=True)
    )
    return all(isinstance(bound, int | float) for bound in (low, high)) and low <= high
