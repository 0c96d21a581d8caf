"""Addresses and institutions in Chinese: 省市区县镇村路号室, hospitals, schools and firms."""
# ruff: noqa: E501 - patterns and lists of words, one a line

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from huizhen.data.deidentify_text.kinds import Found, Kind
from huizhen.data.deidentify_text.tables import load_table, words_of

__all__ = ["find_places_zh"]

_H = r"[\u3400-\u9fff]"
_LABEL = r"(?:家庭住址|家庭地址|现住址|户籍地址|户籍所在地|户口地址|联系地址|通讯地址|通信地址|工作地址|工作单位|单位地址|住址|地址|籍贯|出生地|户籍|现居住于|现居|居住于|居住在|家住|现住|住于|住在|老家)"
_END = r"(?=[，,。;；\n|()（）]|\s{2,}|\s+[\u4e00-\u9fff]{2,6}[:\s]|$)"
_BREAK = "于往至到由从转入"
"""Characters before a name of a place that don't belong to it."""


@cache
def _rules() -> tuple[tuple[str, re.Pattern[str], float], ...]:
    provinces = "|".join(load_table("places")["zh_provinces"].split())
    own = rf"(?:(?![{_BREAK}在住])[\u3400-\u9fff])"
    region = rf"(?:(?:{provinces})(?:省|市|(?:维吾尔|壮族|回族)?自治区)?)"
    end = r"(?:第?[\dA-Za-z零一二三四五六七八九十百]+\s?(?:-\d+)*\s?(?:号楼|号院|号|弄|栋|幢|座|单元|室|层|楼|户|组|队|房))"
    road = rf"{own}{{1,10}}?(?:街道|大街|大道|路|街|道|巷|弄|胡同|里|村|镇|乡|屯|小区|社区|花园|公寓|大厦|苑|庄|湾|坪)"
    return (
        (
            "address_zh",
            re.compile(rf"(?:{region})?(?:{own}{{1,6}}?(?:市|自治州|盟))?(?:{own}{{1,6}}?[区县旗])?(?:{road}\s?){{1,4}}(?:{end}\s?)+"),
            0.83,
        ),
        (
            "region_zh",
            re.compile(rf"(?:{region}{own}{{2,5}}?(?:市|自治州|盟|县|区)|{own}{{2,4}}?市{own}{{1,4}}?[区县])(?:{own}{{1,8}}?(?:街道|镇|乡|村|路|街))*"),
            0.72,
        ),
        ("address_label_zh", re.compile(rf"{_LABEL}\s*[::]?\s*(?P<value>[^，,。;；\n|:：]{{2,60}}?){_END}"), 0.85),
        ("origin_zh", re.compile(rf"(?:来自|出生于|生于|籍贯|家在|回到)(?P<value>(?:{region}|{own}{{2,5}}?[省市县区镇乡村])+)"), 0.8),
        ("postcode_zh", re.compile(r"(?:邮编|邮政编码|邮码)\s*[::]?\s*(?P<value>\d{6})(?!\d)"), 0.93),
    )  # fmt: skip


def find_places_zh(text: str) -> Iterator[Found]:
    """Yield addresses and institutions of a folded text in Chinese characters.

    >>> text = "家住杭州市西湖区文三路12号3室,曾就诊于浙江大学附属第一医院"
    >>> [text[one.start : one.end] for one in find_places_zh(text)][-1]
    '浙江大学附属第一医院'
    """
    for name, pattern, score in _rules():
        for match in pattern.finditer(text):
            start, end = match.span("value" if "value" in pattern.groupindex else 0)
            if label := re.match(_LABEL, text[start:end]):
                start += label.end()
            if start < end:
                yield Found(start=start, end=end, kind=Kind.ADDRESS, recogniser=name, score=score)
    yield from _institutions(text)


@cache
def _institution() -> re.Pattern[str]:
    kinds = load_table("places")["zh_institutions"]
    return re.compile(
        rf"(?P<name>(?:(?![{_BREAK}])[\u3400-\u9fff]){{1,16}}?)(?:{kinds})(?:(?:{_H}{{1,8}}?)(?:分院|院区|医院))?"
    )


_PREFIX = re.compile(
    r"^(?:.*?(?:就诊|就医|住院|入住|治疗|手术|收住|收治|送检|来自|转诊|外送|邀请|检查|体检|单位|医院|我市|本市)"
    r"|[自系由应回因现后前行去为是经曾请送转赴])+(?=[\u3400-\u9fff]{2,}$)"
)
"""Words before the name of an institution; single characters only where they begin."""


def _institutions(text: str) -> Iterator[Found]:
    """Yield the names of institutions, without the words before them."""
    generic = words_of("places", "zh_generic")
    for match in _institution().finditer(text):
        start = match.start()
        if cut := _PREFIX.match(match["name"]):
            start += len(cut[0])
        said = text[start : match.end()]
        if said not in generic and not said.startswith(("某", "当地", "外院", "本院", "我院", "该院")):
            yield Found(
                start=start, end=match.end(), kind=Kind.INSTITUTION, recogniser="institution_zh", score=0.74
            )
