"""PDF, RTF and FHIR as texts, and what of them can't be read."""

from __future__ import annotations

import base64
import io
import json
import zlib

import pytest
from pypdf import PdfReader, PdfWriter

from huizhen.data.deidentify_text.reading import text_of
from huizhen.data.deidentify_text.reading_fhir import text_of_fhir
from huizhen.data.deidentify_text.reading_pages import shown_by
from huizhen.data.deidentify_text.reading_pdf import text_of_pdf
from huizhen.data.deidentify_text.reading_rtf import text_of_rtf
from huizhen.data.deidentify_text.reading_word import text_of_word
from huizhen.data.deidentify_text.unreadable import TextReason, Unreadable


def pdf(content: bytes, *, filters: bytes = b"") -> bytes:
    """Return a PDF of one page with a stream of content."""
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d%s>>stream\n%s\nendstream" % (len(content), filters, content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    made, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    start = len(made)
    made += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % at for at in places)
    return made + b"trailer\n<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % start


REPORT = pdf(b"BT /F1 12 Tf 20 200 Td (Seen by Dr. Okon-) Tj 0 -14 Td (kwo today) Tj ET")


def locked() -> bytes:
    writer, stream = PdfWriter(clone_from=PdfReader(io.BytesIO(REPORT))), io.BytesIO()
    writer.encrypt("", "owner", algorithm="RC4-128")
    writer.write(stream)
    return stream.getvalue()


def refused(data: bytes, suffix: str) -> TextReason:
    with pytest.raises(Unreadable) as caught:
        text_of(data, suffix)
    return caught.value.reason


def test_a_pdf_gives_the_text_of_its_pages() -> None:
    assert text_of_pdf(REPORT).split() == ["Seen", "by", "Dr.", "Okon-", "kwo", "today"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (pdf(b"0 0 300 300 re f"), TextReason.NO_TEXT),
        (locked(), TextReason.ENCRYPTED),
        (b"\x89PNG\r\n", TextReason.NOT_TEXT),
        (b"%PDF-1.7 broken", TextReason.DAMAGED),
        (pdf(zlib.compress(b" " * (200 << 20)), filters=b"/Filter/FlateDecode"), TextReason.DAMAGED),
    ],
    ids=["scan", "locked", "picture", "broken", "bomb"],
)
def test_a_pdf_that_cant_be_read_is_refused_with_its_reason(data: bytes, reason: TextReason) -> None:
    assert refused(data, ".pdf") is reason


def test_rtf_gives_its_text_in_its_code_page() -> None:
    chinese = rb"{\rtf1\ansi\ansicpg936 \'d0\'d5\'c3\'fb\'a3\'ba\'d5\'c5\'ce\'b0\par Dr. Weber{\pict 0a0b}}"
    assert text_of_rtf(chinese).split() == ["姓名：张伟", "Dr.", "Weber"]
    assert text_of_rtf(rb"{\rtf1\ansi\ansicpg1252 M\'fcller}") == "Müller"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (rb"{\rtf1\ansi\ansicpg1252 \'d0\'d5\'c3\'fb\'d5\'c5\'ce\'b0}", TextReason.ENCODING),
        (rb"{\rtf1\ansi\ansicpg936 \'ff}", TextReason.DAMAGED),
        (b"\x89PNG\r\n", TextReason.NOT_TEXT),
        (rb"{\rtf1{\pict 0a0b}}", TextReason.EMPTY),
    ],
    ids=["misnamed", "broken", "picture", "pictures only"],
)
def test_rtf_that_cant_be_read_is_refused(data: bytes, reason: TextReason) -> None:
    assert refused(data, ".rtf") is reason


def attached(data: bytes, kind: str) -> dict[str, str]:
    return {"contentType": kind, "data": base64.b64encode(data).decode()}


RESOURCE = {
    "resourceType": "Bundle",
    "entry": [
        {
            "resource": {
                "resourceType": "DiagnosticReport",
                "identifier": [{"value": "A77001"}],
                "subject": {"reference": "Patient/4711", "display": "Weber, Anna"},
                "text": {"status": "generated", "div": "<div xmlns='x'><p>Seen by <b>Okonkwo</b></p></div>"},
                "code": {"coding": [{"code": "1"}], "text": "CT chest"},
                "conclusion": "No nodule.",
                "presentedForm": [attached(REPORT, "application/pdf"), attached(b"\x89PNG", "image/png")],
            }
        },
        {
            "resource": {
                "resourceType": "Observation",
                "subject": {"reference": "Patient/4711"},
                "note": [{"authorString": "Dr. Koch", "text": "Repeat in May."}],
                "component": [{"valueString": "抽烟"}],
            }
        },
        {
            "resource": {
                "resourceType": "DocumentReference",
                "content": [{"attachment": attached("患者张伟".encode(), "text/plain; charset=utf-8")}],
            }
        },
    ],
}


def test_fhir_gives_its_free_texts_and_no_other_field() -> None:
    text = text_of(json.dumps(RESOURCE).encode(), ".json")
    for said in ("Seen by Okonkwo", "No nodule.", "Okon-", "Repeat in May.", "抽烟", "患者张伟"):
        assert said in text
    for other in ("A77001", "Weber", "Koch", "Patient/", "PNG"):
        assert other not in text


@pytest.mark.parametrize(
    ("resource", "reason"),
    [
        ({"resourceType": "Observation", "status": "final"}, TextReason.EMPTY),
        ({"text": "no resource"}, TextReason.UNKNOWN_KIND),
        (["no resource"], TextReason.UNKNOWN_KIND),
        (
            [{"subject": {"reference": f"Patient/{n}"}, "conclusion": "x"} for n in (1, 2)],
            TextReason.SEVERAL_PATIENTS,
        ),
        (attached(b"\x01\x02\x03\x04", "text/plain"), TextReason.NOT_TEXT),
        ({"contentType": "text/plain", "data": "*"}, TextReason.DAMAGED),
    ],
    ids=["no text", "no type", "list", "several", "attached bytes", "no base64"],
)
def test_fhir_that_cant_be_read_is_refused(resource: object, reason: TextReason) -> None:
    if reason in (TextReason.SEVERAL_PATIENTS, TextReason.NOT_TEXT, TextReason.DAMAGED):
        resource = {"resourceType": "Bundle", "entry": resource}
    assert refused(json.dumps(resource).encode(), ".json") is reason


@pytest.mark.parametrize("text", ["{", '{"a":' * 100_000, "[1" + "0" * 10_000 + "]"], ids=range(3))
def test_json_that_is_hostile_is_refused(text: str) -> None:
    assert refused(text.encode(), ".json") in (TextReason.DAMAGED, TextReason.UNKNOWN_KIND)


def test_the_readers_raise_what_they_meet() -> None:
    with pytest.raises(Unreadable):
        text_of_fhir("[]", lambda *_: "")
    with pytest.raises(Exception, match="zip"):
        text_of_word(b"no archive")
    assert shown_by("<ul><li>a<li>b</ul>").split() == ["a", "b"]
