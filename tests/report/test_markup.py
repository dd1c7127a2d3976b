"""Markdown and HTML let nothing from the node become markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Optional

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from markdown_it import MarkdownIt

from eniagent.model.finding import Affected, Diagnosis, Impact
from eniagent.report import render
from eniagent.report.markdown import code, escaped
from tests.report.diagnoses import any_diagnosis, subnet_exhausted, texts

ANY = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
TAGS = {"html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "p", "b", "code", "section", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "footer"}
VOID = {"meta"}


class Page(HTMLParser):
    """Collects the tags of a page, the attributes that could load or run something, and what is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.live: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Optional[str]]]) -> None:
        self.tags.add(tag)
        self.live += [(tag, name) for name, _ in attrs if name in ("src", "href", "style", "action") or name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def page(diagnosis: Diagnosis) -> Page:
    """The HTML output, parsed."""
    parsed = Page()
    parsed.feed(render(diagnosis, format_name="html").decode("ascii"))
    parsed.close()
    return parsed


@ANY
@given(any_diagnosis)
def test_html_has_only_our_tags(diagnosis: Diagnosis) -> None:
    """Whatever the values hold, the page consists of our own tags, all closed, with nothing that loads or runs."""
    parsed = page(diagnosis)
    assert parsed.tags <= TAGS
    assert parsed.live == []
    assert parsed.open == []


def test_html_says_what_the_json_says() -> None:
    """Cause, evidence, commands and affected pods of the diagnosis are words on the page."""
    words = "\n".join(page(subnet_exhausted()).words)
    for told in ("subnet-exhausted", "InsufficientFreeAddressesInSubnet", "kubectl -n kube-system set env", "shop/cart-11", "2 of 3 ENIs attached"):
        assert told in words
    assert "http" not in "".join(re.findall(r'"[^"]*"', render(subnet_exhausted(), format_name="html").decode("ascii"))).replace("http-equiv", "")


@ANY
@given(texts)
def test_markdown_values_render_as_themselves(text: str) -> None:
    """An escaped value is plain words to a Markdown renderer: no emphasis, link, code, image or HTML comes of it."""
    tokens = MarkdownIt("commonmark", {"html": True}).parseInline(f"x {escaped(text)} x")[0].children or []
    assert {token.type for token in tokens} <= {"text", "text_special"}


@ANY
@given(texts)
def test_markdown_code_spans_hold(text: str) -> None:
    """A command in a code span stays one code span, whatever ticks it holds."""
    tokens = MarkdownIt("commonmark").parseInline(f"x {code(text)} x")[0].children or []
    assert [token.type for token in tokens] == ["text", "code_inline", "text"]


@pytest.mark.parametrize("name", ["a|b", "a\n| forged | 1 | 2 | 3 | 4 |", "<b>x</b>"])
def test_markdown_table_rows_stay_rows(name: str) -> None:
    """A hostile pod name makes neither a second row nor a further column."""
    impact = Impact(pods=1, failures=1, affected=(Affected(pod=name, failures=1),))
    output = render(msgspec.structs.replace(subnet_exhausted(), impact=impact), format_name="markdown").decode()
    rows = output.partition("## Affected pods")[2].strip().splitlines()
    assert len(rows) == 3
    assert len(re.findall(r"(?<!\\)\|", rows[2])) == 6
