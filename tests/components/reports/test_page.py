from xml.etree import ElementTree as ET

from components.reports.page import heading, page, paragraph, table


def body(document: str) -> ET.Element:
    return ET.fromstring(document.partition("<body>")[2].join(["<body>", ""]).removesuffix("</html>\n"))


def test_escapes_text() -> None:
    document = page("<T>", heading("a & b"), paragraph("<script>"), table(("<h>",), [("</td>",)]))
    assert ["".join(element.itertext()).strip() for element in body(document)] == [
        "<T>",
        "a & b",
        "<script>",
        "<h>\n</td>",
    ]


def test_a_page_loads_no_other_resource() -> None:
    document = page("T", paragraph("text"))
    assert not any(word in document for word in ("http:", "https:", "src=", "href=", "url("))


def test_shortens_numbers_and_leaves_missing_values_empty() -> None:
    cells = [cell.text for cell in body(page("T", table(("x",), [(1 / 3, 10**9, None, True)]))).iter("td")]
    assert cells == ["0.333333", "1000000000", None, "True"]
