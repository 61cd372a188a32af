"""Models to serve, and a parser of the pages made for them."""

from html.parser import HTMLParser

import pytest

from predictor.model.inputs import Input
from predictor.model.kinds.linear import LinearModel
from predictor.model.kinds.trees import TreeModel
from predictor.web.html import Page
from tests.support.models import linear_model, mixed_model, tree_model

BMI = Input("bmi", -0.09, 0.17)


@pytest.fixture
def one_feature() -> LinearModel:
    """A model of one feature without a unit."""
    return linear_model((938.25,), 152.5, features=[BMI], target="progression")


@pytest.fixture
def three_features() -> LinearModel:
    """A model of three features, one of them with a unit."""
    columns = [BMI, Input("pressure", 60.0, 140.0, unit="mmHg"), Input("sex", 1.0, 2.0)]
    return linear_model((938.25, -0.5, 12.0), 152.5, features=columns, target="progression")


@pytest.fixture
def mixed() -> LinearModel:
    """A model of numbers, a boolean and categories, some of which may be missing or unknown."""
    return mixed_model()


@pytest.fixture
def trees() -> TreeModel:
    """A model of trees, which has no exact explanation."""
    return tree_model(3, [BMI, Input("pressure", 60.0, 140.0, unit="mmHg")])


HOSTILE = (
    '</script><img src=x onerror="alert(1)">',
    "a'b,\"c\n",
    "$style ${data} {model} %s",
    "\u202eabc\x7f",
)


@pytest.fixture
def hostile() -> LinearModel:
    """A model whose names try to break out of HTML, CSV and templates."""
    columns = [Input(name, 0.0, 1.0, unit="<i>&</i>") for name in HOSTILE]
    return linear_model((1.0, 2.0, 3.0, 4.0), 152.5, features=columns, target="progression")


VOID = {"meta", "link", "input", "br", "img", "wbr"}


class Reader(HTMLParser):
    """Parses a page: its elements and their texts. Fails where the elements are not well nested."""

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
    """Parse a page."""
    return Reader
