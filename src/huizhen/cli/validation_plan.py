"""The analysis plan of `huizhen validate`: from flags and column names to the text of a study file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from huizhen.cli.screen import Screen
from huizhen.core.study import is_name
from huizhen.core.study_wording import nearest
from huizhen.errors import DataError, InvalidInputError
from huizhen.pipeline.table_columns import header_of

__all__ = ["Chosen", "Flags", "chosen_columns", "plan_text"]

SEED = 20260101
POSITIVE = ("1", "true", "yes", "positive", "malignant", "cancer", "event", "阳性", "恶性", "是")
NEGATIVE = ("0", "false", "no", "negative", "benign", "normal", "none", "阴性", "良性", "正常", "否")
"""What outcomes are commonly written as."""

NAMES: Mapping[str, tuple[str, ...]] = {
    "patient": (
        *("patient", "patientid", "patientno", "patientnumber", "patientkey", "subject", "subjectid"),
        *("pid", "mrn", "caseid", "case", "id", "患者", "患者编号", "患者id", "病人", "病例号", "住院号"),
    ),
    "outcome": (
        *("outcome", "label", "ytrue", "truth", "groundtruth", "gt", "target", "reference", "pathology"),
        *("diagnosis", "class", "event", "malignancy", "y", "结局", "标签", "金标准", "病理", "诊断"),
    ),
    "score": (
        *("score", "prob", "probability", "risk", "prediction", "pred", "yprob", "yscore", "yproba"),
        *("predproba", "proba", "predictedprobability", "predictedrisk", "modelscore", "aiscore", "output"),
        *("ypred", "p", "phat", "评分", "概率", "预测概率", "风险", "预测", "得分"),
    ),
    "reader": ("reader", "readerid", "radiologist", "rater", "读者", "阅片者", "医生"),
    "rating": ("rating", "score", "confidence", "评分", "打分"),
    "arm": ("arm", "modality", "condition", "method", "ai", "方式", "方法"),
}
"""What columns are commonly called, letters and digits only, the likeliest name first."""

_BOUND = re.compile(r"(auc|sensitivity|specificity)(?::(.+))?=([+-]?[0-9.]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the command line says of the table and of how it is judged."""

    patient: str | None = None
    outcome: str | None = None
    score: str | None = None
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    threshold: tuple[str, ...] = ()
    tune: Path | None = None
    rule: str | None = None
    compare: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    site: str | None = None
    cluster: bool = False
    scale: str | None = None
    at_least: tuple[str, ...] = ()
    cohort: str | None = None
    prevalence: float | None = None
    reader: str | None = None
    rating: str | None = None
    arm: str | None = None
    reference: str | None = None
    margin: float | None = None
    model: str | None = None
    title: str | None = None
    encoding: str | None = None
    phantom: bool = False

    @property
    def of_readers(self) -> bool:
        """Whether the table holds readers' ratings."""
        return bool(self.reader or self.rating)

    def given(self) -> list[str]:
        """Return the names of the flags that were given."""
        return [name for name in self.__slots__ if getattr(self, name) not in (None, (), False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A column and what it holds (`key`); `why` is a word key in import.why. An empty name: there is none."""

    key: str
    column: str
    why: str


def chosen_columns(table: Path, flags: Flags) -> tuple[Chosen, ...]:
    """Return which column holds what: as the flags say, else the one of a common name.

    Raises `DataError` on an absent column, or where no outcome or score can be found.
    """
    columns = header_of(table, encoding=flags.encoding)
    keys = (
        ("patient", "outcome", "reader", "rating", "arm")
        if flags.of_readers
        else ("patient", "outcome", "score")
    )
    others = [flags.site, *flags.compare] if not flags.of_readers else []
    given = {key: getattr(flags, key) for key in keys}
    for flag, name in [*given.items(), *(("compare", name) for name in flags.compare), ("site", flags.site)]:
        if name and name not in columns:
            raise _absent(name, flag, columns, table)
    taken = {name for name in (*given.values(), *others) if name}
    found: list[Chosen] = []
    for key in keys:
        name = given[key] or _called(key, [column for column in columns if column not in taken])
        if not name and key not in ("patient", "arm"):
            raise DataError(
                f"no column of the table is called as columns of the {key} are",
                remedy=f"name it with --{key}; the table has: {', '.join(columns[:20])}",
                field=f"--{key}",
                file=table.name,
            )
        taken |= {name} if name else set()
        found.append(Chosen(key=key, column=name or "", why="given" if given[key] else "name"))
    return tuple(found)


def _absent(name: str, flag: str, columns: Sequence[str], table: Path) -> DataError:
    close = nearest(name, list(columns))
    remedy = f"did you mean {close}?" if close else f"it has: {', '.join(columns[:20])}"
    return DataError(f"the table has no column {name}", remedy=remedy, field=f"--{flag}", file=table.name)


def _called(key: str, columns: Sequence[str]) -> str | None:
    """Return the column that is called as columns of `key` commonly are.

    >>> _called("score", ["Patient_ID", "y_prob"]), _called("outcome", ["a", "b"])
    ('y_prob', None)
    """
    plain = {"".join(char for char in name.lower() if char.isalnum()): name for name in reversed(columns)}
    return next((plain[name] for name in NAMES[key] if name in plain), None)


# --- the text ------------------------------------------------------------------------------------------


def plan_text(table: Path, flags: Flags, chosen: Sequence[Chosen], *, beside: Path, screen: Screen) -> str:
    """Return the text of the study file that `flags` ask for; its paths are relative to the folder `beside`.

    Raises `InvalidInputError` on a flag that can't be read.
    """
    if flags.model is not None and not is_name(flags.model):
        raise InvalidInputError(
            "is not a plain name",
            remedy="use letters, digits, point, dash and underscore only, at most 64; say more with --title",
            field="--model",
        )
    column = {one.key: one.column for one in chosen}
    name = table.stem if is_name(table.stem) else "validation"
    words = {"table": table.name, "outcome": column["outcome"]}
    lines = [
        f"name = {_quoted(name)}",
        f"title = {_quoted(flags.title or screen.english('validate.title', **words))}",
        f"title_zh = {_quoted(flags.title or screen.chinese('validate.title', **words))}",
        f"question = {_quoted(screen.text('validate.question', **words))}",
        f"seed = {SEED}",
        *(["phantom = true"] if flags.phantom else []),
        "",
        "[task]",
        f"outcome = {_quoted(column['outcome'])}",
        f"positive = {_listed(flags.positive or POSITIVE)}",
        f"negative = {_listed(flags.negative or NEGATIVE)}",
        "",
    ]
    body = (
        _reads(table, flags, column, beside)
        if flags.of_readers
        else _predictions(table, flags, column, beside)
    )
    return "\n".join([*lines, *body]) + "\n"


def _predictions(table: Path, flags: Flags, column: Mapping[str, str], beside: Path) -> list[str]:
    """Return [predictions] and what goes with it."""
    cuts = _cuts(flags.threshold)
    others = {name: cut for name, cut in cuts.items() if name}
    lines = [
        "[predictions]",
        f"table = {_quoted(_relative(table, beside))}",
        *_given("encoding", flags.encoding),
        *_given("patient", column["patient"]),
        f"outcome = {_quoted(column['outcome'])}",
        f"score = {_quoted(column['score'])}",
        *_given("model", flags.model),
        *([f"compare = {_listed(flags.compare)}"] if flags.compare else []),
        *_given("scale", flags.scale),
        *([f"threshold = {cuts['']!r}"] if "" in cuts else []),
        *_given("tune", _relative(flags.tune, beside) if flags.tune else None),
        *_given("site", flags.site),
        *_given("cohort", flags.cohort),
        *(["clustered = true"] if flags.cluster else []),
        *(['other_outcomes = "exclude"'] if flags.positive and flags.negative else []),
    ]
    if others:
        held = ", ".join(f"{_quoted(name)} = {cut!r}" for name, cut in others.items())
        lines.append(f"compare_thresholds = {{ {held} }}")
    if flags.rule and not flags.tune:
        raise InvalidInputError(
            "chooses from nothing", remedy="name a tuning table with --tune", field="--rule"
        )
    lines += ["", "[threshold]", *_rule(flags.rule)] if flags.tune else []
    lines += (
        ["", "[evaluation]", f"prevalence = {flags.prevalence!r}"] if flags.prevalence is not None else []
    )
    for text in flags.group:
        lines += ["", "[[subgroup]]", *_group(text, header_of(table, encoding=flags.encoding))]
    for text in flags.at_least:
        lines += ["", "[[endpoint]]", *_endpoint(text, flags.cohort or "external")]
    return lines


def _reads(table: Path, flags: Flags, column: Mapping[str, str], beside: Path) -> list[str]:
    """Return [reads]."""
    cuts = _cuts(flags.threshold)
    _refuse_unused(flags)
    return [
        "[reads]",
        f"table = {_quoted(_relative(table, beside))}",
        *_given("encoding", flags.encoding),
        *(f"{key} = {_quoted(column[key])}" for key in ("patient", "outcome", "reader", "rating")),
        *_given("arm", column["arm"]),
        *([f"threshold = {cuts['']!r}"] if "" in cuts else []),
        *_given("reference", flags.reference),
        *([f"margin = {flags.margin!r}"] if flags.margin is not None else []),
    ]


def _given(key: str, value: str | None) -> list[str]:
    return [f"{key} = {_quoted(value)}"] if value else []


def _quoted(text: str) -> str:
    """Return a text as a TOML string."""
    return json.dumps(text, ensure_ascii=False)


def _listed(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"


def _relative(path: Path, beside: Path) -> str:
    """Return a path relative to the folder `beside`; a table elsewhere is looked up by its name."""
    return path.resolve().relative_to(beside.resolve()).as_posix() if is_below(path, beside) else path.name


def is_below(path: Path, folder: Path) -> bool:
    """Whether `path` stands in `folder` or in one within it."""
    return path.resolve().is_relative_to(folder.resolve())


def _cuts(texts: Sequence[str]) -> dict[str, float]:
    """Return column -> threshold of the flags. Raises `InvalidInputError` when a column has two."""
    found = [_cut(text) for text in texts]
    if len(dict(found)) < len(found):
        raise InvalidInputError(
            "one score has two thresholds", remedy="give each column one", field="--threshold"
        )
    return dict(found)


def _refuse_unused(flags: Flags) -> None:
    """Refuse flags that a study of readers has no use for: none is dropped without a word."""
    given = {
        "--group": flags.group,
        "--at-least": flags.at_least,
        "--prevalence": flags.prevalence is not None,
        "--compare": flags.compare,
        "--score": flags.score,
        "--tune": flags.tune,
        "--rule": flags.rule,
        "--scale": flags.scale,
        "--site": flags.site,
        "--cohort": flags.cohort,
        "--cluster": flags.cluster,
    }
    if unused := [flag for flag, value in given.items() if value]:
        raise InvalidInputError(
            "a table of reads has no use for it", remedy="leave it out", field=", ".join(unused)
        )


def _cut(text: str) -> tuple[str, float]:
    """Return column ("" for the model's) and threshold of a flag: "0.5", "radiologist=3".

    >>> _cut("0.5"), _cut("BI-RADS=3")
    (('', 0.5), ('BI-RADS', 3.0))
    """
    name, _, number = text.rpartition("=")
    try:
        return name, float(number)
    except ValueError as error:
        raise _unclear(
            "--threshold", text, "write a number, or COLUMN=NUMBER for a column of --compare"
        ) from error


def _rule(text: str | None) -> list[str]:
    """Return [threshold] of a flag: "sensitivity=0.9", "youden"."""
    rule, _, target = (text or "sensitivity=0.9").partition("=")
    known = (rule == "youden" and not target) or (rule in ("sensitivity", "specificity") and target)
    if not known or (target and not re.fullmatch(r"0?\.[0-9]+", target)):
        raise _unclear("--rule", str(text), "write sensitivity=0.9, specificity=0.9 or youden")
    return [f"rule = {_quoted(rule)}", *([f"target = {float(target)!r}"] if target else [])]


def _group(text: str, columns: Sequence[str]) -> list[str]:
    """Return [[subgroup]] of a flag: a column, or a column and the edges of bands, "age:50,70"."""
    if text in columns:
        return [f"column = {_quoted(text)}"]
    name, _, edges = text.rpartition(":")
    if name not in columns:
        close = nearest(text, list(columns))
        raise _unclear(
            "--group", text, f"did you mean {close}?" if close else "name a column, or COLUMN:50,70"
        )
    try:
        numbers = [float(edge) for edge in edges.split(",")]
    except ValueError as error:
        raise _unclear("--group", text, "write the edges of bands as numbers: age:50,70") from error
    return [f"column = {_quoted(name)}", f"edges = {numbers}"]


def _endpoint(text: str, cohort: str) -> list[str]:
    """Return [[endpoint]] of a flag: "auc=0.8", "auc:radiologist=-0.05" for a difference."""
    found = _BOUND.fullmatch(text)
    if found is None:
        raise _unclear(
            "--at-least", text, "write auc=0.8, sensitivity=0.85, or auc:COLUMN=-0.05 for a difference"
        )
    metric, column, number = found.groups()
    try:
        bound = float(number)
    except ValueError as error:
        raise _unclear("--at-least", text, "write the bound as a number: auc=0.8") from error
    if bound > 1:
        raise _unclear("--at-least", text, "write a bound of at most 1: nothing can be above it")
    lines = [f'metric = "{"auc_difference" if column else metric}"', f"cohort = {_quoted(cohort)}"]
    return [*lines, *_given("comparator", column), f"at_least = {bound!r}"]


def _unclear(flag: str, text: str, remedy: str) -> InvalidInputError:
    return InvalidInputError(f"can't be {text!r}", remedy=remedy, field=flag)
