"""Study files that would keep a parser busy, or hide what they say: problems, soon, and no traceback."""

from __future__ import annotations

import time

import pytest

from huizhen.core.study_file import check_study, check_study_text, load_study
from huizhen.core.study_lines import key_lines
from huizhen.errors import StudyError

HOSTILE = {
    "deep lists": "x = " + "[" * 5000 + "]" * 5000,
    "lists that parse": "x = " + "[" * 200 + "]" * 200,
    "deep tables": "x = " + "{a=" * 3000 + "1" + "}" * 3000,
    "long key": ".".join(["a"] * 20_000) + " = 1",
    "long quoted key": r'"\"" . ' * 20_000 + "'a' = 1",
    "long header": "[" + ".".join(["a"] * 100_000) + "]",
    "brackets in a key": '"a[31mkey" = 1',
    "many digits": "seed = " + "9" * 5000,
    "large hexadecimal": "seed = 0x" + "f" * 5000,
    "many unknown keys": "\n".join(f"k{i} = 1" for i in range(4000)),
    "too long": "# a study\n" * (1 << 17),
    "spaces in a header": "[a" + " " * 50_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_a_problem_soon(tmp_path, text):
    (tmp_path / "s.toml").write_text(text, encoding="utf-8")
    started = time.process_time()
    assert check_study(tmp_path / "s.toml", data_root=None)
    with pytest.raises(StudyError):
        load_study(tmp_path / "s.toml")
    assert time.process_time() - started < 10


def test_headers_with_spaces_keep_their_lines():
    assert key_lines("[ a . b ]\nc = 1") == {"a.b": 1, "a.b.c": 2}


@pytest.mark.parametrize("hidden", ["\\u001b[2J", "\\u202e", "\\u0085", "\\u2066"])
@pytest.mark.parametrize(
    "line", ['title = "a{}"', '[[modality]]\nname = "a"\ntitle = "b{}"', '[task]\npositive = ["1", "{}"]']
)
def test_text_that_hides_or_turns_is_refused(hidden, line):
    problems = check_study_text(line.format(hidden))
    assert any("control character" in problem.reason for problem in problems)
    assert not any("control character" in problem.reason for problem in check_study_text(line.format("中文")))
