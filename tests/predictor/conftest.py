"""Models to serve, and a reader of the pages made of them."""

from html.parser import HTMLParser

import numpy as np
import pytest

from predictor.model.artifact import Column, Distribution, LinearModel, Reference
from predictor.web.html import Page


def linear_model(*features: Column, weights: tuple[float, ...], intercept: float = 152.5) -> LinearModel:
    """A model with a reference that is evenly spread over the ranges of its features."""
    spread = {
        column.name: Distribution.of(np.linspace(column.minimum, column.maximum, 101)) for column in features
    }
    target = Column("progression", 25.0, 346.0)
    predictions = Distribution.of(np.linspace(25.0, 346.0, 101))
    return LinearModel(weights, intercept, features, target, Reference(101, spread, predictions))


@pytest.fixture
def one_feature() -> LinearModel:
    """A model of one feature without a unit."""
    return linear_model(Column("bmi", -0.09, 0.17), weights=(938.25,))


@pytest.fixture
def three_features() -> LinearModel:
    """A model of three features, one of them with a unit."""
    return linear_model(
        Column("bmi", -0.09, 0.17),
        Column("pressure", 60.0, 140.0, unit="mmHg"),
        Column("sex", 1.0, 2.0),
        weights=(938.25, -0.5, 12.0),
    )


HOSTILE = (
    '</script><img src=x onerror="alert(1)">',
    "a'b,\"c\n",
    "$style ${data} {model} %s",
    "\u202eabc\x7f",
)


@pytest.fixture
def hostile() -> LinearModel:
    """A model whose names try everything that a name can try."""
    columns = [Column(name, 0.0, 1.0, unit="<i>&</i>") for name in HOSTILE]
    return linear_model(*columns, weights=(1.0, 2.0, 3.0, 4.0))


VOID = {"meta", "link", "input", "br", "img", "wbr"}


class Reader(HTMLParser):
    """Reads a page as a browser would: its elements, the text of each, and whether it is well nested."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(page.html.decode())
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts[self.open[-1]][-1] += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def read() -> type[Reader]:
    """Read a page; it fails when the page is not well nested."""
    return Reader
