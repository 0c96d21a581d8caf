"""Bytes as texts: encodings, HTML and Word files, and what is no text."""

from __future__ import annotations

import io
import random
import zipfile

import pytest
from docx import Document

from huizhen.data.deidentify_text.reading import TextReason, Unreadable, decoded, text_of

DRAWN = random.Random(1)
NOISE = b"".join(bytes([DRAWN.randrange(256), DRAWN.randrange(0xD0)]) for _ in range(2000))
"""Bytes that are UTF-16 of something, little end first."""
CHINESE = "姓名：张伟，患者因高血压入院。"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_encodings_are_recognised(encoding: str) -> None:
    assert decoded(CHINESE.encode(encoding)) == CHINESE


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", TextReason.EMPTY),
        (b" \r\n\t", TextReason.EMPTY),
        (b"\xef\xbb\xbf", TextReason.EMPTY),
        (b"%PDF-1.7 text", TextReason.NOT_TEXT),
        (b"PK\x03\x04 text", TextReason.NOT_TEXT),
        (b"\x89PNG\r\n", TextReason.NOT_TEXT),
        (b"a\x00b", TextReason.NOT_TEXT),
        (b"\x01\x02\x03\x04abc", TextReason.NOT_TEXT),
        ("Müller, größer".encode("latin-1"), TextReason.ENCODING),
        (b"\xff\xfe\x00", TextReason.ENCODING),
        ("病人".encode("big5") * 20, TextReason.ENCODING),
        (b"\xff\xfe" + NOISE, TextReason.NOT_TEXT),
        (b"\xfe\xff" + NOISE, TextReason.ENCODING),
        (b"\xfe\xff" + "Seen by Dr. Weber in May".encode("utf-16-le"), TextReason.ENCODING),
        (b"\xff\xfe" + CHINESE.encode("utf-16-be"), TextReason.ENCODING),
    ],
    ids=range(15),
)
def test_what_is_no_text_is_refused(data: bytes, reason: TextReason) -> None:
    with pytest.raises(Unreadable) as caught:
        decoded(data)
    assert caught.value.reason is reason


def test_an_encoding_that_was_named_is_taken() -> None:
    assert decoded("Müller".encode("latin-1"), encoding="latin-1") == "Müller"
    with pytest.raises(Unreadable):
        decoded(CHINESE.encode("gb18030"), encoding="utf-8")


def test_a_page_gives_what_it_shows() -> None:
    page = (
        b"<html><head><title>Smith</title><style>x</style></head><body><!-- Weber -->"
        b"<p>Dr. <b>Oko</b>nkwo</p>"
        b"<table><tr><td>a</td><td>b</td></tr></table><script>1</script></body>"
    )
    text = text_of(page, ".html")
    assert "Dr. Okonkwo" in text
    assert not {"Smith", "Weber", "script"} & set(text.replace("<", " ").split())


def test_a_word_file_gives_paragraphs_tables_headers_and_footers() -> None:
    document = Document()
    document.add_paragraph("患者张伟")
    document.add_table(1, 2).rows[0].cells[1].text = "Okonkwo"
    document.sections[0].header.paragraphs[0].text = "Ward 7"
    document.sections[0].footer.paragraphs[0].text = "Page"
    stream = io.BytesIO()
    document.save(stream)
    assert text_of(stream.getvalue(), ".docx").split() == ["Ward", "7", "患者张伟", "Okonkwo", "Page"]


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"not a zip"])
def test_a_broken_word_file_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        text_of(data, ".docx")
    assert caught.value.reason is TextReason.DAMAGED


def test_a_word_file_that_unpacks_to_too_much_is_refused() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("word/document.xml", b"\0" * (65 << 20))
    with pytest.raises(Unreadable) as caught:
        text_of(stream.getvalue(), ".docx")
    assert caught.value.reason is TextReason.DAMAGED


def _read(page: bytes) -> str | TextReason:
    try:
        return text_of(page, ".html")
    except Unreadable as error:
        return error.reason


@pytest.mark.parametrize("markup", ["<![foo]>x", "<!foo [<!bar", "<![CDATA[x", "<!DOCTYPE [<!ELEMENT", "<?"])
def test_a_page_of_odd_markup_is_read_or_refused(markup: str) -> None:
    read = _read(f"<p>hello</p>{markup}".encode())
    assert read is TextReason.DAMAGED or "hello" in read


def _word(*, flag: int = 0, method: int | None = None, broken: bool = False) -> bytes:
    """Return a Word file whose entries are said to be encrypted or of another method, or are damaged."""
    stream, document = io.BytesIO(), Document()
    document.add_paragraph("Okonkwo")
    document.save(stream)
    data = bytearray(stream.getvalue())
    for mark, place in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = data.find(mark)
        while at >= 0:
            data[at + place] |= flag
            data[at + place + 2] = data[at + place + 2] if method is None else method
            at = data.find(mark, at + 4)
    if broken:
        start = data.find(b"word/document.xml")
        data[start + 40 : start + 60] = b"\xff" * 20
    return bytes(data)


@pytest.mark.parametrize("data", [_word(flag=1), _word(method=99), _word(broken=True)], ids=range(3))
def test_an_encrypted_or_damaged_word_file_is_refused(data: bytes) -> None:
    assert "Okonkwo" in text_of(_word(), ".docx")
    with pytest.raises(Unreadable) as caught:
        text_of(data, ".docx")
    assert caught.value.reason is TextReason.DAMAGED


@pytest.mark.parametrize("opening", ["<a", "<!", "</"])
def test_a_page_of_open_tags_is_refused_at_once(opening: str) -> None:
    assert _read(f"<p>hello</p>{opening * 500_000}".encode()) is TextReason.DAMAGED
    assert "hello" in _read(b"<p>hello</p> 3 < 5")
