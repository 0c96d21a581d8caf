"""What the hospital knows of a patient is found in any spelling; tables and DICOM headers say it."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from huizhen.data.deidentify_text.folding import fold
from huizhen.data.deidentify_text.known import Known, find_known
from huizhen.data.deidentify_text.known_table import KnownPatients, known_from_dicom, read_known
from huizhen.errors import DataError

ANN = Known(
    patient="P4711",
    names=("Longbottom^Annemarie", "Young"),
    numbers=("0012-3456",),
    dates=("1950-03-05",),
    texts=("27 Rowan Mews, Leicester", "+44 20 7946 0018", "ann@example.org"),
)
WEI = Known(patient="88", names=("欧阳小红", "Li Xiaoming"), texts=("浙江省杭州市西湖区文三路12号",))
SPELT = [
    (ANN, "longbottom", "longbottom"),
    (ANN, "LONGBOTTOM, ANNEMARIE", "LONGBOTTOM"),
    (ANN, "annemarielongbottom.doc", "annemarie"),
    *((ANN, (t := sign.join("Longbottom")), t) for sign in "·•|*,_/\t│"),
    *((ANN, (t := sign.join("123456")), t) for sign in "·•|*,_/\t│"),
    *((ANN, (t := sign.join("02079460018")), t) for sign in "·•|*,_\t│"),
    *((WEI, (t := sign.join("欧阳小红")), t) for sign in "·•|*,_/-\t"),
    (ANN, "L o n g b o t t o m", "L o n g b o t t o m"),
    (ANN, "seen by A. L.", "A. L."),
    (ANN, "Anemarie was here", "Anemarie"),
    (ANN, "Annemraie was here", "Annemraie"),
    (ANN, "Mr Young", "Young"),
    (ANN, "no. 123456", "123456"),
    (ANN, "no. 0012 3456", "0012 3456"),
    (ANN, "p-4711", "p-4711"),
    (ANN, "born 05031950", "05031950"),
    (ANN, "at 27  rowan mews", "27  rowan mews"),
    (ANN, "020 7946 0018", "020 7946 0018"),
    (ANN, "ANN@example.org", "ANN@example.org"),
    (WEI, "欧阳 小红", "欧阳 小红"),
    (WEI, "小红说", "小红"),
    (WEI, "欧阳女士", "欧阳"),
    (WEI, "Ouyang Xiaohong", "Ouyang Xiaohong"),
    (WEI, "xiao-hong ouyang", "xiao-hong ouyang"),
    (WEI, "李晓明来诊", "李晓明"),
    (WEI, "家住西湖区，文三路12号", "文三路12号"),
]


@pytest.mark.parametrize(("known", "text", "value"), SPELT, ids=range(len(SPELT)))
def test_spellings(known: Known, text: str, value: str) -> None:
    folded = fold(text)
    found = [text[slice(*folded.original(one.start, one.end))] for one in find_known(folded.text, known)]
    assert value in found


@pytest.mark.parametrize("text", ["young patient with long history", "the ann arbor stage", "12345"])
def test_words_are_not_taken_for_names(text: str) -> None:
    assert list(find_known(text, ANN)) == []


def test_a_table_says_whose_a_file_is_and_what_to_look_for(tmp_path: Path) -> None:
    table = tmp_path / "known.csv"
    table.write_text(
        "patient,file,First Name,Last Name,出生日期,phone,doctor,accession\n"
        "4711,a/b.txt;c.txt,Anna,Weber,1950/3/5,030 123456,Dr. Koch,A1\n"
        "4711,,,,,,Meier,\n"
        ",x.txt,No,Body,,,,\n",
        encoding="utf-8",
    )
    found = read_known(table)
    assert found.files == {"a/b.txt": "4711", "c.txt": "4711"}
    one = found.of("4711")
    assert set(one.names) == {"Anna", "Weber", "Anna Weber", "Dr. Koch", "Meier"}
    assert (one.dates, one.texts, one.accessions) == (("1950-03-05",), ("030 123456",), ("A1",))
    assert found.of("other") == Known(patient="other")


@pytest.mark.parametrize(
    ("header", "says"),
    [("patient,shoe size", "isn't understood"), ("name,phone", "no column for the patient")],
)
def test_a_table_that_isnt_understood_is_refused(tmp_path: Path, header: str, says: str) -> None:
    (tmp_path / "known.csv").write_text(f"{header}\n1,2\n")
    with pytest.raises(DataError, match=says):
        read_known(tmp_path / "known.csv")


def test_a_table_without_a_header_is_refused_without_its_values(tmp_path: Path) -> None:
    (tmp_path / "known.csv").write_text("4711882,ZHANG Wei\n4712,Ann\n")
    with pytest.raises(DataError, match="column 1 of the table") as caught:
        read_known(tmp_path / "known.csv")
    assert "4711882" not in str(caught.value)
    assert "ZHANG" not in str(caught.value)


def test_a_day_of_birth_that_cant_be_read_is_refused_without_its_value(tmp_path: Path) -> None:
    table = tmp_path / "known.csv"
    table.write_text("patient,dob,birth_date\n4711,05/03/1950,\n4712,,19 of May\n")
    with pytest.raises(DataError, match="line 3: the date in column 3 of the table") as caught:
        read_known(table)
    assert caught.value.file == "known.csv"
    assert "May" not in f"{caught.value} {caught.value.__cause__} {caught.value.remedy}"
    table.write_text("patient,dob\n4711,05/03/1950; 1951-01-02 00:00:00\n4712,\n")
    assert read_known(table).of("4711").dates == ("1950-03-05", "1950-05-03", "1951-01-02")


BROKEN = [
    (ANN, "Annema-\nrie Longbot-\r\ntom", ["Annema-\nrie", "Longbot-\r\ntom"]),
    (ANN, "LONG-\nBOTTOM", ["LONG-\nBOTTOM"]),
    (ANN, "Long\nbottom", ["Long\nbottom"]),
    (ANN, "tel 020 7946\n  0018", ["020 7946\n  0018"]),
    (ANN, "no. 0012-\n3456", ["0012-\n3456"]),
    (ANN, "at 27 Rowan\n   Mews", ["27 Rowan\n   Mews"]),
    (WEI, "欧阳小\n红复查", ["欧阳小\n红"]),
    (WEI, "文三\n路12号", ["文三\n路12号"]),
    (WEI, "Li Xiao-\nming", ["Xiao-\nming"]),
]


@pytest.mark.parametrize(("known", "text", "values"), BROKEN, ids=range(len(BROKEN)))
def test_values_broken_at_the_end_of_a_line_are_found_whole(
    known: Known, text: str, values: list[str]
) -> None:
    folded = fold(text)
    found = [text[slice(*folded.original(one.start, one.end))] for one in find_known(folded.text, known)]
    assert set(values) <= set(found)


def test_headers_of_dicom_files_say_it_too(tmp_path: Path) -> None:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.11", "1.2.3.4"
    data.PatientID, data.PatientName, data.AccessionNumber = "4711", "Weber^Anna", "A77"
    data.PatientBirthDate, data.ReferringPhysicianName = "19500305", "Koch^Karl"
    data.OtherPatientNames, data.PatientTelephoneNumbers = ["Müller^Anna", "Maier^Anna"], "030 1234567"
    pydicom.dcmwrite(tmp_path / "a.dcm", data, enforce_file_format=True)
    (tmp_path / "b.txt").write_text("not DICOM")
    found = KnownPatients({}, {})
    assert known_from_dicom(tmp_path, ["a.dcm", "b.txt"], found) == 1
    one = found.of("4711")
    assert set(one.names) == {"Weber^Anna", "Müller^Anna", "Maier^Anna", "Koch^Karl"}
    assert (one.dates, one.accessions, one.texts) == (("1950-03-05",), ("A77",), ("030 1234567",))
