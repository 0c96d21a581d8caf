"""An audit from its table to the sheet, the second reading, and evidence that names nobody."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from huizhen.core.digests import digest_bytes
from huizhen.core.evidence import Evidence, Verdict
from huizhen.core.streams import stream
from huizhen.core.words import Language
from huizhen.errors import DataError
from huizhen.pipeline.labels.audit import audit_evidence, audit_labels
from huizhen.pipeline.labels.report import page_name, read_evidence, write_report
from huizhen.pipeline.labels.review import CORRECTED, read_decisions, review_evidence, write_corrected
from huizhen.pipeline.labels.suspects import REVIEW, SHEET, SUSPECTS, read_sheet, write_private
from huizhen.pipeline.labels.table import AuditInput
from huizhen.validate.label_audit.ranking import Order

NAMES = ("benign", "malignant")


def given(*, n: int = 400, wrong: int = 24, readers: bool = False) -> tuple[AuditInput, np.ndarray]:
    """Return labels of which some are wrong, with true posteriors (and readers), and the right labels."""
    draw = stream(2, "audit")
    truth = draw.integers(0, 2, n)
    score = draw.normal(size=n) + 3.5 * (truth - 0.5)
    risk = 1 / (1 + np.exp(-3.5 * score))
    label = truth.copy()
    label[draw.choice(n, wrong, replace=False)] ^= 1
    read = np.where(draw.random((n, 3)) < 0.9, truth[:, None], 1 - truth[:, None]) if readers else None
    found = AuditInput(
        name="chest",
        unit="row",
        case=tuple(f"MRN{k:05d}" for k in range(n)),
        patient=tuple(f"PAT{k // 2:05d}" for k in range(n)),
        classes=NAMES,
        label=label,
        probability=np.column_stack([1 - risk, risk]),
        read=read,
        readers=("r1", "r2", "r3") if readers else (),
        left_out={"missing_label": 3},
        digest=digest_bytes(b"table"),
        origin={"kind": "table"},
    )
    return found, truth


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def answered(folder: Path, truth: np.ndarray, *, only: int | None = None) -> Path:
    """Fill in the sheet with the right labels, and return it."""
    rows = rows_of(folder / SHEET)[:only]
    lines = ["case,decision", *(f"{row['case']},{NAMES[truth[int(row['case'][3:])]]}" for row in rows)]
    (folder / "done.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "done.csv"


def test_the_list_stays_with_its_owner_and_ranks_wrong_labels_first(tmp_path: Path) -> None:
    source, truth = given()
    audit = audit_labels(source)
    sheet = write_private(audit, tmp_path / "stays")
    for name in (SUSPECTS, SHEET, REVIEW):
        assert (tmp_path / "stays" / name).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "stays").stat().st_mode & 0o777 == 0o700
    listed = rows_of(tmp_path / "stays" / SUSPECTS)
    assert [row["rank"] for row in listed] == [str(k + 1) for k in range(len(listed))]
    hit = [truth[int(row["case"][3:])] != NAMES.index(row["label"]) for row in listed[:15]]
    assert np.mean(hit) > 0.8
    assert len(sheet.listed) == max(20, audit.suspects)


def test_the_sheet_is_blind(tmp_path: Path) -> None:
    audit = audit_labels(given()[0])
    sheet = write_private(audit, tmp_path)
    rows = rows_of(tmp_path / SHEET)
    assert set(rows[0]) == {"case", "decision", "comment"}
    assert {row["case"] for row in rows} == {*sheet.listed, *sheet.controls}
    assert [row["case"] for row in rows] != [*sheet.listed, *sheet.controls]
    assert not set(sheet.listed) & set(sheet.controls)


def test_the_same_audit_may_be_written_again_and_another_may_not(tmp_path: Path) -> None:
    audit = audit_labels(given()[0])
    assert write_private(audit, tmp_path) == write_private(audit, tmp_path) == read_sheet(tmp_path)
    with pytest.raises(DataError, match="another audit"):
        write_private(audit, tmp_path, top=5)
    with pytest.raises(DataError, match="no sheet"):
        read_sheet(tmp_path / "nowhere")


def test_what_readers_entered_stays_when_the_audit_is_run_again(tmp_path: Path) -> None:
    audit = audit_labels(given()[0])
    write_private(audit, tmp_path)
    blank = (tmp_path / SHEET).read_text()
    (tmp_path / SHEET).write_text(blank.replace(",,", ",unsure,", 3))
    write_private(audit, tmp_path)
    assert (tmp_path / SHEET).read_text().count("unsure") == 3
    (tmp_path / SHEET).unlink()
    write_private(audit, tmp_path)
    assert (tmp_path / SHEET).read_text() == blank


def test_the_second_reading_gives_labels_and_an_estimate(tmp_path: Path) -> None:
    source, truth = given()
    sheet = write_private(audit_labels(source), tmp_path)
    found = read_decisions(answered(tmp_path, truth), sheet)
    corrected = rows_of(write_corrected(found, tmp_path))
    assert (tmp_path / CORRECTED).stat().st_mode & 0o777 == 0o600
    changed = [row for row in corrected if row["label"] != row["label_before"]]
    assert {row["case"] for row in changed} == set(found.changed)
    assert all(truth[int(row["case"][3:])] == NAMES.index(row["label"]) for row in changed)
    (whole, listed) = review_evidence(found)
    assert whole.key == "label_audit/chest/label_wrong"
    assert whole.interval is not None
    assert whole.interval.low <= 24 / 400 <= whole.interval.high
    assert listed.estimate == found.listed.wrong / found.listed.read


def test_without_controls_there_is_no_estimate_for_all(tmp_path: Path) -> None:
    source, truth = given()
    sheet = write_private(audit_labels(source), tmp_path, controls=0)
    found = review_evidence(read_decisions(answered(tmp_path, truth), sheet))
    assert [one.verdict for one in found] == [Verdict.REPORTED, Verdict.NOT_ASSESSED]


def test_unsure_answers_are_counted_by_themselves(tmp_path: Path) -> None:
    source, truth = given()
    sheet = write_private(audit_labels(source), tmp_path)
    path = answered(tmp_path, truth)
    head, first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([head, f"{first.partition(',')[0]},UNSURE", *rest]) + "\n")
    found = read_decisions(path, sheet)
    assert len(found.unsure) == 1
    assert found.share_if_unsure_were_wrong() > found.share().value
    assert not found.unsure & set(found.changed)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["{0},benign", "{0},malignant"], "1 cases stand in several rows"),
        (["stranger,benign"], "1 cases were not on the sheet"),
        (["{0},cancer"], "1 decisions are no class, the first on line 2"),
        (["{0},"], "nothing was decided yet"),
    ],
)
def test_wrong_answers_are_refused(tmp_path: Path, lines: list[str], says: str) -> None:
    sheet = write_private(audit_labels(given()[0]), tmp_path)
    path = tmp_path / "done.csv"
    path.write_text("\n".join(["case,decision", *(line.format(sheet.listed[0]) for line in lines)]) + "\n")
    with pytest.raises(DataError) as caught:
        read_decisions(path, sheet)
    assert says in caught.value.message
    assert "MRN" not in str(caught.value)


def test_nothing_that_leaves_names_a_case_or_a_small_count(tmp_path: Path) -> None:
    source, truth = given(readers=True)
    audit = audit_labels(source)
    sheet = write_private(audit, tmp_path / "stays")
    found = [
        *audit_evidence(audit),
        *review_evidence(read_decisions(answered(tmp_path / "stays", truth), sheet)),
    ]
    write_report(found, tmp_path / "out", name="chest")
    for path in (tmp_path / "out").iterdir():
        text = path.read_text(encoding="utf-8")
        assert "MRN" not in text
        assert "PAT0" not in text
    told = json.dumps([one.to_json()["detail"] for one in found if one.metric == "label_suspects"])
    assert '"missing_label": null' in told
    assert read_evidence(tmp_path / "out") == [one for one in found if "wrong" not in one.key]
    assert {one.metric for one in found} >= {"label_noise_rate", "label_contradicted", "label_agreement"}


def test_both_pages_say_it(tmp_path: Path) -> None:
    write_report(audit_evidence(audit_labels(given()[0])), tmp_path, name="chest")
    pages = {one: (tmp_path / page_name(one)).read_text(encoding="utf-8") for one in Language}
    assert "rises by construction" in pages[Language.EN]
    assert "必然升高" in pages[Language.ZH]
    assert "<script" not in pages[Language.EN]


def test_readers_alone_are_enough() -> None:
    source, truth = given(readers=True)
    alone = AuditInput(**{**{k: getattr(source, k) for k in AuditInput.__slots__}, "probability": None})
    audit = audit_labels(alone, rule=Order.SELF_CONFIDENCE)
    assert audit.rate is None
    assert (truth != source.label)[audit.order[:20]].mean() > 0.7
    assert audit_evidence(audit)[0].metric == "label_suspects"


def test_the_same_seed_gives_the_same_evidence() -> None:
    source = given()[0]
    one, other = (audit_evidence(audit_labels(source, seed=4)) for _ in range(2))
    assert one == other
    assert Evidence.from_json(one[1].to_json()) == one[1]
