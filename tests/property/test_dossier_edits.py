"""Whatever is changed in a dossier's folder, verification finds it; whatever a number is, it is readable."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from huizhen.core.digests import digest_bytes, digest_value
from huizhen.core.evidence import Evidence, Interval
from huizhen.dossier.build import build_dossier
from huizhen.dossier.citations import decimal, p_value, plainly, pointer, resolve, span
from huizhen.dossier.svg import Scale, padded, px
from huizhen.dossier.verification import verify_dossier
from huizhen.errors import VerificationError
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey

STUDY = {"name": "s", "title": "S", "question": "Is it?", "task": {"outcome": "malignancy"}}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dossier."""
    folder, key = tmp_path_factory.mktemp("edits"), SigningKey.generate()
    (folder / "files").mkdir()
    (folder / "files/p.csv").write_bytes(b"patient,risk\nA,0.5\n")
    interval = Interval(low=0.7, high=0.9, method="DeLong")
    shared = {"metric": "auc", "stage": "validate", "n": 50, "n_events": 20}
    found = [Evidence(key=f"auc/{m}/internal/all", estimate=0.8, interval=interval, **shared) for m in "abc"]
    with Log.open(folder / "ledger", key) as log:
        log.append("study", {"study": STUDY, "digest": digest_value(STUDY), "signed_by": key.key_id})
        for evidence in found:
            log.append("evidence", evidence.to_json())
        data = (folder / "files/p.csv").read_bytes()
        log.append("artefact", {"path": "p.csv", "sha256": digest_bytes(data), "size": len(data)})
        log.commit()
    return build_dossier(folder / "ledger", folder / "dossier", key=key, artefacts=folder / "files")


def changed(data: bytes, how: str, place: int, value: int) -> bytes:
    """Return `data` with a byte changed, inserted, deleted, a stretch doubled, or the end cut off."""
    place %= len(data)
    match how:
        case "change":
            return data[:place] + bytes([value]) + data[place + 1 :]
        case "insert":
            return data[:place] + bytes([value]) + data[place:]
        case "delete":
            return data[:place] + data[place + 1 :]
        case "double":
            return data[:place] + data[place : place + 1 + value] + data[place:]
        case _:
            return data[:place]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    which=st.integers(0, 7),
    how=st.sampled_from(["change", "insert", "delete", "double", "cut"]),
    place=st.integers(0, 10**7),
    value=st.integers(0, 255),
)
def test_every_edit_is_found(whole: Path, which: int, how: str, place: int, value: int) -> None:
    files = sorted(path for path in whole.rglob("*") if path.is_file())
    assert len(files) == 8
    original = files[which].read_bytes()
    edited = changed(original, how, place, value)
    if edited == original:
        return
    try:
        files[which].write_bytes(edited)
        with pytest.raises(VerificationError) as caught:
            verify_dossier(whole)
        assert caught.value.file
        assert caught.value.remedy
    finally:
        files[which].write_bytes(original)


def test_untouched_dossier_verifies(whole: Path, tmp_path: Path) -> None:
    assert verify_dossier(Path(shutil.copytree(whole, tmp_path / "copy"))).entries == 5


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_numbers_are_readable(value: float) -> None:
    assert "-" not in decimal(value)  # a true minus sign
    assert decimal(value) not in ("−0.000", "-0.000")
    text = plainly(value).en
    assert text
    assert float(text.replace(",", "").replace("−", "-")) == pytest.approx(value, rel=0.06, abs=5e-4)


@given(st.floats(0, 1), st.floats(-3, 3), st.floats(0, 3))
def test_p_values_and_intervals(p: float, low: float, width: float) -> None:
    shown = p_value(p).en
    assert shown == "<0.001" if p < 0.001 else float(shown) == pytest.approx(p, abs=0.0051)
    bounds = span(low, low + width)
    assert (" to " in bounds.en) == (low < 0)
    assert (" 至 " in bounds.zh) == (low < 0)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    ),
    st.data(),
)
def test_pointers_find_what_they_name(body: object, data: st.DataObject) -> None:
    steps: list[str | int] = []
    node = body
    while isinstance(node, dict | list) and node:
        step = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        steps.append(step)
        node = node[step]
    if not isinstance(node, dict | list):
        assert resolve(body, pointer(*steps)) == node


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_axes_hold_their_values(values: list[float]) -> None:
    low, high = padded(values)
    assert low <= min(values)
    assert high >= max(values)
    scale = Scale(low=low, high=high, start=10, end=200)
    assert all(10 - 1e-6 <= scale(v) <= 200 + 1e-6 for v in values)
    assert all(math.isfinite(float(px(scale(v)))) for v in values)
