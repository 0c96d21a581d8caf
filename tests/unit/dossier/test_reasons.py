"""Why something was not assessed is told in Chinese too, values and all."""

from __future__ import annotations

import pytest

from huizhen.dossier.reasons import reason_templates, reason_text


@pytest.mark.parametrize(
    ("reason", "chinese"),
    [
        ("a class is missing", "缺少一个类别"),
        ("fewer than 10 patients of the site or of the others", "该中心或其余中心的患者少于 10 名"),
        ("the rules permit it", "规则允许"),
        ("bootstrap over patients, from 0, 1996 resamples", "对患者自助抽样，自 0 起，1996 次重抽样"),
        (
            "patients have several rows, and the calibration curve has no interval over patients here",
            "患者有多行，此处 校准曲线 没有以患者为单位的区间",
        ),
        ("DeLong, logit", "DeLong, logit"),
        ("Trained on simulated phantoms: no figure is clinical.", "在模拟数据上训练：任何数字都不是临床结果"),
        ("something that nobody foresaw", "something that nobody foresaw"),
    ],
    ids=["whole", "with-a-value", "of-the-words", "method", "value", "name", "limit", "unknown"],
)
def test_a_reason_is_told_in_chinese(reason: str, chinese: str) -> None:
    found = reason_text(reason)
    assert (found.en, found.zh) == (reason, chinese)


def test_every_template_names_its_values() -> None:
    for english, chinese in reason_templates().items():
        values = [f"v{k}" for k in range(english.count("{}"))]
        assert all(one in chinese.format(*values) for one in values)
