"""Replacements: consistent within a patient, of the same shape, never an original value."""

from __future__ import annotations

import re

import pytest

from huizhen.data.deidentify.dates import shifted
from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify_text.cleaning import clean
from huizhen.data.deidentify_text.kinds import Kind
from huizhen.data.deidentify_text.known import Known
from huizhen.data.deidentify_text.numbers import is_nhs_number, is_resident_id
from huizhen.data.deidentify_text.policy import TextPolicy, load_text_policy
from huizhen.data.deidentify_text.surrogates import Surrogates, same
from huizhen.errors import PolicyError

ANN = Known(patient="4711", names=("Weber^Anna",), accessions=("A77001",))


def cleaned(text: str, who: Pseudonymiser, known: Known = ANN, **policy: object) -> str:
    return clean(text, who=who, known=known, policy=TextPolicy(**policy)).text


def test_a_name_becomes_the_same_name_in_every_form(who: Pseudonymiser) -> None:
    text = cleaned("Patient: Weber, Anna. Mrs. Weber came; WEBER; A. Weber; anna said.", who)
    last, first = re.match(r"Patient: (\w+), (\w+)\.", text).groups()
    assert (
        text == f"Patient: {last}, {first}. Mrs. {last} came; {last.upper()}; "
        f"{first[0]}. {last}; {first.lower()} said."
    )
    assert {last, first}.isdisjoint({"Weber", "Anna"})
    assert cleaned("Mrs. Weber", who) == f"Mrs. {last}"
    assert cleaned("Mrs. Weber", who, Known(patient="4712")) != f"Mrs. {last}"


def test_a_genitive_keeps_its_s(who: Pseudonymiser) -> None:
    text = cleaned(
        "Mrs. Quellhorst's son, O'Brien’s and QUELLHORST'S.", who, Known(patient="1", names=("O'Brien",))
    )
    last, other = re.fullmatch(r"Mrs\. (\w+)'s son, (\w'\w+)['’]s and (?:[A-Z]+)'S\.", text).groups()
    assert last.upper() in text
    assert "Quellhorst" not in text
    assert other != "O'Brien"
    assert cleaned("Mrs. Quellhorst's son", who, all_tags=True) == "Mrs. [NAME]'s son"


@pytest.mark.parametrize(
    "text",
    [
        "weber.anna@clinic.example.org",
        "see https://x.example.org/anna/weber?q=1",
        "a4711@x.org",
        "@anna_weber",
    ],
)
def test_an_address_that_holds_a_known_name_is_replaced_as_a_whole(who: Pseudonymiser, text: str) -> None:
    done = clean(f"mail {text} now", who=who, known=ANN, policy=TextPolicy())
    assert len(done.actions) == 1
    assert done.text.count("@") == text.count("@")
    assert not {"weber", "anna", "4711"} & set(re.split(r"\W", done.text.lower()))


def test_words_broken_at_the_end_of_a_line_are_replaced_as_a_whole(who: Pseudonymiser) -> None:
    assert cleaned("Seen by Dr. Okon-\n  kwo. No peri-\nportal oedema.", who, all_tags=True) == (
        "Seen by Dr. [NAME]. No peri-\nportal oedema."
    )


def test_text_and_dicom_agree(who: Pseudonymiser) -> None:
    text = cleaned("MRN: 4711. Accession: A77001. CT of 2026-03-05.", who)
    days = who.shift_days("4711", most=TextPolicy().most_shift_days)
    day = shifted("20260305", "DA", days=days)
    assert day is not None
    numbers = f"MRN: {who.patient('4711')}. Accession: {who.accession('A77001')}."
    assert text == f"{numbers} CT of {day[:4]}-{day[4:6]}-{day[6:]}."


def test_dates_in_figures_are_read_in_the_order_of_the_text(who: Pseudonymiser) -> None:
    text = cleaned("On 03/25/2026 and 04/05/2026.", who)
    first, second = (tuple(map(int, m)) for m in re.findall(r"(\d+)/(\d+)/(\d+)", text))
    from datetime import date

    days = [date(y, m, d) for m, d, y in (first, second)]
    assert (days[1] - days[0]).days == 11


def test_ids_keep_their_shape_and_are_nobodys(who: Pseudonymiser) -> None:
    text = cleaned("身份证号11010519491231002X, NHS 943 476 5919, SSN 123-45-6789, MRN: ab-12/34", who)
    resident, nhs, ssn, mrn = re.match(r"身份证号(\S+), NHS (.+), SSN (\S+), MRN: (\S+)", text).groups()
    assert re.fullmatch(r"99\d{15}[A-Z0-9]", resident)
    assert nhs.startswith("999 ")
    assert ssn.startswith("000-")
    assert re.fullmatch(r"[a-z]{2}-\d\d/\d\d", mrn)
    assert not is_resident_id("990105194912310021")
    assert is_nhs_number("943 476 5919")


def test_chinese_names_keep_their_length_and_titles(who: Pseudonymiser) -> None:
    text = cleaned("患者欧阳小红，女。欧阳小红由张伟主任主刀，张主任查房。", who)
    patient, doctor, surname = re.fullmatch(
        r"患者(\w{4})，女。\1由(\w{2})主任主刀，(\w)主任查房。", text
    ).groups()
    assert doctor[0] == surname
    assert not set(patient) & set("欧阳小红")
    assert not set(doctor) & set("张伟")


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("tel 212-867-5309", r"tel \d{3}-555-01\d\d"),
        ("Tel. 020 7946 0018", r"Tel\. 016 3296 0\d{3}"),
        ("手机13812345678", r"手机10\d{9}"),
        ("mail a.b@clinic.example.org", r"mail user\d{5}@example\.org"),
        ("see https://x.example.com/p?id=7", r"see https://example\.org/[0-9a-f]{8}"),
        ("from 10.20.30.40", r"from 192\.0\.2\.\d+"),
        ("at 27 Rowan Mews, Leicester", r"at \d+ \w+ Street, \w+"),
        ("住址：杭州市西湖区文三路12号", r"住址：\w+市\w+\d+号"),
        ("at St. Mary's Hospital", r"at \w+ Hospital"),
        ("转自杭州市第一人民医院。", r"转自\w{2}医院。"),
        ("scan smith_face_1.jpg", r"scan file-[0-9a-f]{8}\.jpg"),
        ("a 93-year-old man", r"a 90\+-year-old man"),
        ("现年九十三岁", r"现年九十以上岁"),
        ("车牌号京A12345", r"车牌号\w[A-Z]\d{5}"),
    ],
    ids=range(14),
)
def test_surrogates(who: Pseudonymiser, text: str, pattern: str) -> None:
    assert re.fullmatch(pattern, cleaned(text, who))


def test_no_surrogate_is_an_original(who: Pseudonymiser) -> None:
    first = Surrogates(who=who, known=ANN).of(Kind.NAME, "Okonkwo")
    again = Surrogates(who=who, known=ANN, avoid={same(first)}).of(Kind.NAME, "Okonkwo")
    assert again not in (first, "Okonkwo")
    plate = Surrogates(who=who, known=ANN).of(Kind.ID, "7")
    assert Surrogates(who=who, known=ANN, avoid={plate}).of(Kind.ID, "7") != plate
    everything = {str(i) for i in range(10)}
    assert Surrogates(who=who, known=ANN, avoid=everything).of(Kind.ID, "7") == "[ID]"


def test_a_policy_of_tags_changes_nothing_the_second_time(who: Pseudonymiser) -> None:
    text = (
        "Dr. Okonkwo saw Anna Weber (MRN 4711) on 5 March 2026; tel 020 7946 0018. "
        "患者张伟于2026年3月5日入院，现年95岁。"
    )
    once = cleaned(text, who, all_tags=True)
    assert once == (
        "Dr. [NAME] saw [NAME] (MRN [ID]) on [DATE]; tel [PHONE]. 患者[NAME]于[DATE]入院，现年[AGE]岁。"
    )
    assert cleaned(once, who, all_tags=True) == once


def test_a_policy_keeps_and_allows(who: Pseudonymiser) -> None:
    text = "Dr. Koch, Mayo Clinic; the Quellhorst was used"
    kept = cleaned(text, who, keep=(Kind.INSTITUTION,), allow=("quellhorst",), tags=(Kind.NAME,))
    assert kept == "Dr. [NAME], Mayo Clinic; the Quellhorst was used"
    assert "Quellhorst" in cleaned(text, who, unknown_words=False)


def test_actions_say_where_and_nothing_else(who: Pseudonymiser) -> None:
    text = "Ｄｒ. Oko\u200bnkwo, tel 020 7946 0018."
    done = clean(text, who=who, known=ANN, policy=TextPolicy(tags=(Kind.NAME,)))
    name, phone = done.actions
    assert text[name.offset : name.offset + name.length] == "Oko\u200bnkwo"
    assert done.text[name.new_offset : name.new_offset + name.new_length] == "[NAME]"
    assert text[phone.offset : phone.offset + phone.length] == "020 7946 0018"
    assert done.text.startswith("Ｄｒ. [NAME], tel 0")


@pytest.mark.parametrize(
    "text",
    ['keep = ["name"]', "wrong = 1", "sample = -1", "not toml at all [", 'date_order = "ymd"'],
    ids=range(5),
)
def test_a_wrong_policy_is_refused(tmp_path, text: str) -> None:
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(PolicyError):
        load_text_policy(tmp_path / "p.toml")


def test_a_policy_is_read(tmp_path) -> None:
    (tmp_path / "p.toml").write_text('tags = ["phone"]\ndate_order = "mdy"\n')
    assert load_text_policy(tmp_path / "p.toml") == TextPolicy(tags=(Kind.PHONE,), date_order="mdy")
