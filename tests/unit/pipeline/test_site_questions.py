"""A site's list of questions as a CSV: names that come with images are no formulas in a spreadsheet."""

from __future__ import annotations

import csv

from huizhen.pipeline.site_questions import Question, write_questions
from huizhen.train.active.queue_records import State


def test_names_that_look_like_formulas_are_written_as_text(tmp_path):
    patient, image = '=HYPERLINK("https://example.org/?"&B3)', "@SUM(1)"
    question = Question(
        study="s",
        query=0,
        rank=0,
        case="ab",
        patient=patient,
        images=(image,),
        reason="",
        state=State.OPEN,
        answers=0,
        readers=1,
        labels=(),
    )
    write_questions(tmp_path / "q.csv", [question])
    with (tmp_path / "q.csv").open(newline="") as stream:
        assert list(csv.reader(stream))[1] == ["ab", f"'{patient}", f"'{image}", ""]
