"""Display: what a terminal and a notebook show of a result."""

from html.parser import HTMLParser

from lfi.runtime import Described


class Plain(Described):
    def describe(self):
        return "a < b\n  by 3 & more"


class Tabular(Plain):
    def _table(self):
        return [("name", "p"), ("<a>", 0.5)]


def cells(html):
    parser, found = HTMLParser(), []
    parser.handle_data = found.append
    parser.feed(html)
    return found


def test_the_representation_is_the_description():
    assert repr(Plain()) == Plain().describe() == "a < b\n  by 3 & more"


def test_a_notebook_shows_the_verdict_and_a_table_with_all_text_escaped():
    html = Tabular()._repr_html_()
    assert "<a>" not in html
    assert cells(html) == ["a < b", "name", "p", "<a>", "0.5"]


def test_without_a_table_a_notebook_shows_the_description():
    assert cells(Plain()._repr_html_()) == ["a < b", "  by 3 & more"]
