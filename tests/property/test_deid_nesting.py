"""Whatever is nested however deeply: no marker is left, nothing is done twice, structure and classes stay."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pydicom
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence

from huizhen.data.deidentify.dates import shifted
from huizhen.data.deidentify.files import deidentify_dataset, deidentify_file
from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify.outcome import Fate
from huizhen.data.deidentify.planting import Markers, found_in
from huizhen.data.deidentify.policy import DeidPolicy
from huizhen.data.readers.dicom_headers import quiet

WHO = Pseudonymiser(secret=b"h" * 32)
SEQUENCES = (
    "ReferencedSeriesSequence",
    "DerivationImageSequence",
    "AnatomicRegionSequence",
    "ContentSequence",
    "RequestAttributesSequence",
    "ProcedureCodeSequence",
    "SharedFunctionalGroupsSequence",
)
NAMES = (
    "PatientName",
    "ReferringPhysicianName",
    "PatientID",
    "InstitutionName",
    "StudyDescription",
    "PersonName",
    "TextValue",
    "OperatorsName",
    "AccessionNumber",
    "ImageComments",
    "SegmentDescription",
)
UIDS = ("SOPInstanceUID", "ReferencedSOPInstanceUID", "UID", "FrameOfReferenceUID")

leaves = st.tuples(
    st.sets(st.sampled_from(NAMES), max_size=4), st.sets(st.sampled_from(UIDS), max_size=2), st.booleans()
)
trees = st.recursive(
    st.tuples(leaves, st.just({})),
    lambda below: st.tuples(
        leaves,
        st.dictionaries(st.sampled_from(SEQUENCES), st.lists(below, min_size=1, max_size=2), max_size=2),
    ),
    max_leaves=8,
)


def grown(tree: object, markers: Markers) -> Dataset:
    """Return a dataset with markers in the leaves that a tree names."""
    (names, uids, private), below = tree  # type: ignore[misc]  # as drawn above
    data = Dataset()
    for keyword in sorted(names):
        setattr(data, keyword, markers.text())
    for keyword in sorted(uids):
        setattr(data, keyword, markers.uid())
    if private:
        data.private_block(0x0029, markers.text(), create=True).add_new(1, "LO", markers.text())
    for keyword, items in below.items():
        setattr(data, keyword, Sequence([grown(item, markers) for item in items]))
    return data


def written(data: Dataset) -> bytes:
    """Return a dataset as bytes."""
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    out = BytesIO()
    pydicom.dcmwrite(out, data, enforce_file_format=False)
    return out.getvalue()


@settings(max_examples=60, deadline=None)
@given(
    tree=trees, options=st.sampled_from([None, [], ["clean_descriptors"], ["modified_dates", "safe_private"]])
)
def test_no_marker_is_left_at_any_depth(tree: object, options: list[str] | None) -> None:
    markers = Markers()
    data = grown(tree, markers)
    data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.33"
    policy = DeidPolicy() if options is None else DeidPolicy.model_validate({"options": options})
    before = written(data)
    assert found_in(before) >= markers.count
    context = deidentify_dataset(data, policy=policy, who=WHO)
    assert found_in(written(data)) == 0
    assert found_in(repr(context.done).encode()) == 0
    assert data.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.33"
    again = pydicom.dcmread(BytesIO(before), force=True)
    deidentify_dataset(again, policy=policy, who=WHO)
    assert written(again) == written(data), "the same from a file as from memory"


SOURCE = grown(((set(NAMES), set(UIDS), True), {}), Markers())
SOURCE.SOPClassUID, SOURCE.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.33", "1.2.3"
SOURCE.StudyInstanceUID, SOURCE.SeriesInstanceUID = "1.2.4", "1.2.5"
WHOLE = written(SOURCE)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    flips=st.lists(st.tuples(st.integers(132, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=4)
)
def test_a_damaged_file_ends_in_an_outcome(flips: list[tuple[int, int]], tmp_path: Path) -> None:
    damaged = bytearray(WHOLE)
    for place, byte in flips:
        damaged[place] = byte
    (tmp_path / "a.dcm").write_bytes(damaged)
    outcome = deidentify_file(tmp_path / "a.dcm", tmp_path / "out", policy=DeidPolicy(), who=WHO)
    assert (outcome.fate is Fate.RELEASED) == bool(outcome.place) == (outcome.reason is None)
    if outcome.place:
        with quiet():
            pydicom.dcmread(tmp_path / "out" / outcome.place)
    assert not list(tmp_path.glob("out/**/*.part"))


@settings(max_examples=200, deadline=None)
@given(dates=st.lists(st.dates(), min_size=2, max_size=5), days=st.integers(1, 36500))
def test_intervals_stay(dates: list[object], days: int) -> None:
    from datetime import date, datetime

    moved = [shifted(f"{one:%Y%m%d}".rjust(8, "0"), "DA", days=days) for one in dates]
    for one, other in zip(dates, moved, strict=True):
        assert isinstance(one, date)
        if other is None:
            assert one.year < 1000 or (one - date(1000, 1, 1)).days < days
        else:
            assert (one - datetime.strptime(other, "%Y%m%d").date()).days == days


@settings(max_examples=200, deadline=None)
@given(uid=st.from_regex(r"\A[0-9](\.[1-9][0-9]{0,6}){1,8}\Z"))
def test_uids_are_legal_and_their_own(uid: str) -> None:
    made = WHO.uid(uid)
    assert made == WHO.uid(uid + "\0")
    assert len(made) <= 64
    assert pydicom.uid.UID(made).is_valid
    assert made != uid
    assert made != Pseudonymiser(secret=b"i" * 32).uid(uid)
