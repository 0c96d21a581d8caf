"""The page: self-contained, safe, in two languages, every number a link to its ledger entry."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from huizhen.ledger.signing import SigningKey

VOID = {"meta", "input", "img", "br", "link"}
QUOTING = {"pre", "script", "style", "title"}
"""Elements whose text is not a statement of the page: entry bodies, code."""
QUOTED = {"tick", "no", "sub", "index", "when", "version", "leaf", "what", "code", "sources", "command"}
"""Classes of text that is no statement: axis marks, table numbers, the entries' own lines, the log's head."""


class Page(HTMLParser):
    """Walks a page and keeps what the tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[tuple[str, dict[str, str]]] = []
        self.ids: list[str] = []
        self.loose: list[str] = []
        self.links: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.opened: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.opened.append(tag)
        self.attributes += [(tag, name, value) for name, value in found.items()]
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if tag == "a" else []
        if tag not in VOID:
            self.stack.append((tag, found))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack[-1][0] == tag, f"</{tag}> closes <{self.stack[-1][0]}>"
        self.stack.pop()

    def handle_data(self, data: str) -> None:
        if re.search(r"\d", data) and not self._explained():
            self.loose.append(data.strip())

    def _explained(self) -> bool:
        linked = any(
            t == "h1" or (t == "a" and a.get("href", "").startswith(("#entry-", "files/")))
            for t, a in self.stack
        )
        # numbers of a guideline's items, its edition and date: publications, no measurements
        linked = linked or ("section", "guidelines") in {(t, a.get("id", "")) for t, a in self.stack}
        classes = {c for _, a in self.stack for c in a.get("class", "").split()}
        return linked or bool(QUOTING & {t for t, _ in self.stack}) or bool(QUOTED & classes)


def text_of(folder: Path) -> str:
    """Return the page of a dossier."""
    return (folder / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def html(built: Path) -> str:
    """The page of the made-up run."""
    return text_of(built)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    """The same, parsed."""
    return Page(html)


def test_page_is_well_formed(page: Page) -> None:
    assert page.stack == []


NAMING = re.compile(
    r"95 ?%|SHA-256|RFC 9162|Ed25519|1 ?− ?|ideal [01]|理想值 [01]"  # fixed notation
    r"|(Fold|member|Group) \d+|第 \d (折|个成员)|\bfold\d|分组 \d+"  # which fold, which group
    r"|\bEV\d\d\b|48 (evidence items|kinds|个证据条目|类)"  # evidence items
    r"|(?<= · )\d+(?= · |$)"  # places in a list of the study file
)
"""Digits that name something and measure nothing."""


def test_every_number_links_to_its_entry(page: Page) -> None:
    assert {text for text in page.loose if re.search(r"\d", NAMING.sub("", text))} == set()


def test_links_lead_somewhere(page: Page, built: Path) -> None:
    inner = {link[1:] for link in page.links if link.startswith("#")}
    assert inner <= set(page.ids)
    files = [link for link in page.links if not link.startswith("#")]
    assert files
    assert all((built / link).is_file() for link in files)


def test_ids_are_unique(page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))


def test_nothing_is_asked_of_a_network(html: str, page: Page) -> None:
    assert "http:" not in html
    assert "https:" not in html
    assert not {"link", "iframe", "object", "embed", "base", "form"} & set(page.opened)
    sources = [v for _, name, v in page.attributes if name in ("src", "srcset", "data", "poster", "action")]
    assert sources
    assert all(v.startswith("data:image/png;base64,") for v in sources)
    assert "url(" not in html
    assert "@import" not in html


def test_policy_pins_style_and_script_and_nothing_is_inline(html: str, page: Page) -> None:
    policy = next(v for _, name, v in page.attributes if name == "content" and "default-src" in v)
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag in ("style", "script"):
        body = re.search(rf"<{tag}>(.*?)</{tag}>", html, re.S)
        assert body
        pin = base64.b64encode(hashlib.sha256(body.group(1).encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{pin}'" in policy
    assert not [a for a in page.attributes if a[1] == "style" or a[1].startswith("on")]


def test_images_have_alternative_texts_and_tables_heads(html: str, page: Page) -> None:
    alternatives = [v for tag, name, v in page.attributes if (tag, name) == ("img", "alt")]
    assert len(alternatives) == page.opened.count("img") > 0
    assert all(alternatives)
    assert html.count("<caption") == html.count("<table") > 10
    assert 'scope="col"' in html
    assert 'scope="row"' in html
    assert 'class="skip" href="#main"' in html


def test_phantom_stands_on_every_section_figure_and_line(html: str) -> None:
    tag = '<span class="phantom-tag">'
    assert 'class="phantom-banner"' in html
    assert all(tag in title for title in re.findall(r"<h2.*?</h2>", html, re.S))
    captions = [c for c in re.findall(r"<figcaption>.*?</figcaption>", html, re.S) if "Heatmaps of" not in c]
    assert all(tag in c for c in captions)
    for table in re.findall(r"<table.*?</table>", html, re.S):
        if not re.search('id="table-(order|lock|items|waiting|checklist)', table):
            lines = re.findall(r"<tr[^>]*><th scope=\"row\".*?</th>", table, re.S)
            assert lines
            assert all(tag in line for line in lines), table[:200]


def test_both_languages_are_inside_and_one_opens(built: Path, built_zh: Path) -> None:
    english, chinese = text_of(built), text_of(built_zh)
    assert '<html lang="en">' in english
    assert '<html lang="zh-Hans">' in chinese
    for text in (english, chinese):
        assert "灵敏度" in text
        assert "Sensitivity" in text
    assert english.count('lang="en">') == english.count('lang="zh-Hans">') + 1  # the root's own


def test_patients_without_an_answer_are_counted_as_wrong(html: str) -> None:
    table = html.partition('id="table-unanswered-external"')[2].partition("</table>")[0]
    assert table.count("<tr") == 4  # a head and three measures
    assert "0.810" in table
    assert 'id="table-unanswered-internal"' not in html


def test_what_patients_permit_is_counted(html: str) -> None:
    table = html.partition('id="table-consents"')[2].partition("</table>")[0]
    assert ["Permitted" in table, "Withdrawn" in table, "Denied" in table] == [True, True, False]
    assert ">84<" in table


def test_who_was_left_out_since_and_who_withdrew_is_counted(html: str) -> None:
    since = html.partition('id="table-consents-since"')[2].partition("</table>")[0]
    assert ["Left out since" in since, "Run out" in since, "Denied" in since] == [True, True, False]
    withdrawn = html.partition('id="table-consents-withdrawn"')[2].partition("</table>")[0]
    assert ["Made anew" in withdrawn, "Trained on" in withdrawn, ">2<" in withdrawn] == [True, True, True]


def test_approximate_unlearning_is_told_with_its_bound_or_why_not(html: str) -> None:
    table = html.partition('id="table-consents-unlearned"')[2].partition("</table>")[0]
    assert "3.25" in table
    assert ["The model may stay" in table, "no bound was set before" in table] == [True, True]


def test_how_easily_patients_are_found_in_a_table_is_told(html: str) -> None:
    table = html.partition('id="table-disclosure"')[2].partition("</table>")[0]
    assert ">3<" in table
    assert "0.333" in table
    assert "Fail" in table or "fail" in table


def test_what_crosses_borders_is_told_with_rules_and_documents(html: str) -> None:
    table = html.partition('id="table-transfer"')[2].partition("</table>")[0]
    for text in ("(CN) → the study lead (DE)", "（DE） → ", "CB-8-sensitive", "SCC-7", "model updates"):
        assert text in table
    assert "Carried laws replaced by own files" in table
    assert "CN-HGR" in table


def test_moved_risks_are_told_beside_the_slope(html: str) -> None:
    assert html.count("7 risks near 0 or 1 moved") == 4  # a cell and a line to search, for each cohort


def test_what_the_ledger_says_is_escaped(
    synthetic: Any, key: SigningKey, tmp_path: Path, build: Callable[..., Path]
) -> None:
    attack = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'</script><!--"
    sites = [{"name": attack, "role": "development", "jurisdiction": attack}]
    run = synthetic.write_run(
        tmp_path / "run", key, cases=1, changes={"title": attack, "question": attack, "site": sites}
    )
    text = text_of(build(run))
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    page = Page(text)
    assert page.stack == []
    assert page.opened.count("script") == 2
    assert not [a for a in page.attributes if a[1].startswith("on")]


def test_search_holds_every_number_once(html: str, built: Path) -> None:
    body = re.search(r'<script type="application/json" id="numbers">(.*?)</script>', html, re.S)
    assert body
    rows = json.loads(body.group(1))
    numbers = json.loads((built / "dossier.json").read_bytes())["numbers"]
    assert {row[0] for row in rows} == {n["entry"] for n in numbers}
    assert len(rows) == len({tuple(row) for row in rows})


def test_colours_have_enough_contrast(html: str) -> None:
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", html))
    pairs = [
        ("ink", "paper"),
        ("soft", "paper"),
        ("soft", "pale"),
        ("accent", "paper"),
        ("good", "good-pale"),
    ]
    pairs += [("bad", "bad-pale"), ("none", "none-pale"), ("warn", "warn-pale")]
    for front, back in pairs:
        assert _contrast(colours[front], colours[back]) >= 4.5, (front, back)
    for k in range(8):
        assert _contrast(colours[f"s{k}"], colours["paper"]) >= 3.0, k


def _contrast(front: str, back: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2)."""
    light, dark = sorted((_luminance(front), _luminance(back)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
    parts = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_rendering_depends_on_nothing_but_the_ledger(
    run: Any, built: Path, build: Callable[..., Path]
) -> None:
    again = build(run)
    for path in (p for p in again.rglob("*") if p.is_file()):
        assert path.read_bytes() == (built / path.relative_to(again)).read_bytes()
