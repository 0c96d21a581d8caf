"""The whole engine: what is found, what isn't, and that nothing is fetched."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import Any

import pytest

from huizhen.data.deidentify_text import engine
from huizhen.errors import InvalidInputError

NAMED = [
    ("Patient: SMITH, John A. of", "SMITH, John A."),
    ("patient name: okonkwo, chidi", "okonkwo, chidi"),
    ("Seen by Dr. J.R. van der Berg today", "J.R. van der Berg"),
    ("Anne-Marie O'Brien, MD, signed", "Anne-Marie O'Brien"),
    ("his wife Adaeze called", "Adaeze"),
    ("WEBER^ANNA^M", "WEBER^ANNA^M"),
    ("Dear Ms Nguyen,", "Nguyen"),
    ("john fitzgerald is a 45 yo m", "john fitzgerald"),
    ("Zhang Xiaoming was seen", "Zhang Xiaoming"),
    ("姓名：张伟", "张伟"),
    ("姓  名：欧阳小红", "欧阳小红"),
    ("患者王秀英，女", "王秀英"),
    ("李娜主任医师查房", "李娜"),
    ("请刘强副主任医师会诊", "刘强"),
    ("其子陈明签署同意书", "陈明"),
    ("报告医师 周杰伦", "周杰伦"),
    ("买买提·艾合买提，男", "买买提·艾合买提"),
    ("患者赵某入院", "赵"),
    ("手术者：孙丽、吴军，麻醉师：郑洁", "吴军"),
    ("seen by dr. li wei today", "li wei"),
    ("mr brown came", "brown"),
    ("老张复查", "张"),
    ("老马复查", "马"),
    ("（欧阳美丽，女）", "欧阳美丽"),
    ("访视者：车晓光。", "车晓光"),
    ("小王，请看片", "王"),
]
OTHERS = [
    ("date", "农历三月初五入院", "农历三月初五"),
    ("date", "阴历2025年腊月二十三日", "阴历2025年腊月二十三日"),
    ("date", "乙巳年八月初五", "乙巳年八月初五"),
    ("date", "正月初一", "正月初一"),
    ("date", "DOB 19.6.71, well", "19.6.71"),
    ("phone", "the registrar, bleep 2217", "2217"),
    ("id", "hosp no RV2 88 1043", "RV2 88 1043"),
    ("id", "Incident 24-118873 closed", "24-118873"),
    ("id", "受试者CN-014-0032", "CN-014-0032"),
    ("address", "at 7 Old Tannery Yard", "7 Old Tannery Yard"),
    ("address", "PO Box 3310, Ballarat VIC 3350", "PO Box 3310, Ballarat VIC 3350"),
    ("id", "MRN: 00-41-27", "00-41-27"),
    ("id", "Accession # RAD-220913", "RAD-220913"),
    ("id", "NHS 943 476 5919", "943 476 5919"),
    ("id", "SSN 123-45-6789", "123-45-6789"),
    ("id", "身份证号11010519491231002X", "11010519491231002X"),
    ("id", "护照号 E12345678", "E12345678"),
    ("id", "住院号：0012345", "0012345"),
    ("phone", "tel (212) 555-0147", "(212) 555-0147"),
    ("phone", "call 020 7946 0018", "020 7946 0018"),
    ("phone", "Tel. +49 30 901820", "+49 30 901820"),
    ("phone", "01 42 34 56 78", "01 42 34 56 78"),
    ("phone", "手机13812345678", "13812345678"),
    ("phone", "电话：+86 138 1234 5678", "+86 138 1234 5678"),
    ("phone", "（010）82261234", "（010）82261234"),
    ("email", "write to jane.doe+x@clinic.example.org.", "jane.doe+x@clinic.example.org"),
    ("url", "see www.example.org/a?b=1", "www.example.org/a?b=1"),
    ("ip", "from 10.20.30.40", "10.20.30.40"),
    ("ip", "from fe80::1ff:fe23:4567:890a", "fe80::1ff:fe23:4567:890a"),
    ("device", "VIN 1HGCM82633A004352", "1HGCM82633A004352"),
    ("date", "begun 20190305T1200, ended", "20190305"),
    ("address", "lives at 27 Rowan Mews, Leicester", "27 Rowan Mews, Leicester"),
    ("address", "LS1 4QH", "LS1 4QH"),
    ("address", "Lindenstraße 14, 50674 Köln", "Lindenstraße 14, 50674 Köln"),
    ("address", "12 rue des Acacias, 75017 Paris", "12 rue des Acacias, 75017 Paris"),
    ("address", "住址：浙江省杭州市西湖区文三路12号3幢402室", "浙江省杭州市西湖区文三路12号3幢402室"),
    ("institution", "St. Mary's Hospital", "St. Mary's Hospital"),
    ("institution", "曾就诊于浙江大学附属第一医院", "浙江大学附属第一医院"),
    ("age", "a 93-year-old man", "93"),
    ("age", "患者九十三岁", "九十三"),
    ("device", "Serial no. PZK603291S", "PZK603291S"),
    ("plate", "车牌号京A·12345", "京A·12345"),
    ("account", "账号6212345678901234567", "6212345678901234567"),
    ("account", "card 4111 1111 1111 1111", "4111 1111 1111 1111"),
    ("file", "see smith_face_01.jpg", "smith_face_01.jpg"),
    ("handle", "on instagram @ward_7", "@ward_7"),
    ("handle", "微信号：wx_ming88", "wx_ming88"),
]
HARMLESS = [
    "Prostatic adenocarcinoma, Gleason score 3+4=7. Classical Hodgkin lymphoma, Ann Arbor stage II.",
    "Parkinson's disease, Crohn disease, Hashimoto thyroiditis, Raynaud's phenomenon, Baker cyst.",
    "BI-RADS 4B, Lung-RADS 3, PI-RADS 5, Deauville 2, Bosniak II, Couinaud segment VII, Fazekas grade 1.",
    "Cooper's ligaments are thickened. The circle of Willis and Virchow-Robin spaces are normal.",
    "On Lipitor 40 mg, Plavix, metoprolol and amlodipine. A Foley catheter and a Swan-Ganz catheter.",
    "BP 120/80, 2/6 murmur, 5/5 strength, T2 N0 M0, 3 of 12 nodes, pH 7.35, 18 x 14 x 9 mm, Ki-67 30 %.",
    "A 45-year-old woman. Creatinine 1.2. INR 2.3. 100 mL Omnipaque 350. L4-L5, C5/C6, T12.",
    "RIGHT UPPER LOBE NODULE WITH SPICULATED MARGINS. NO PLEURAL EFFUSION. STABLE COMPARED TO PRIOR.",
    "高血压、黄疸、白细胞计数升高，石膏固定，金黄色葡萄球菌，马尾神经，龙骨，方案合理，常规检查。",
    "左肺上叶结节，右乳外上象限低回声，左侧大脑中动脉供血区梗死，主动脉钙化，余肺未见异常。",
    "霍奇金淋巴瘤、帕金森病、克罗恩病、桥本甲状腺炎、威利斯环未见异常。病史5年3个月。",
    "肝小叶，骨小梁，小于5mm，最小黄斑，中老年，小张口，小关节，缩小，扩张总胆管，三月初。",
    "Scope std::cout and a::b, cafe::x; ratio 1::2 at 12:30:45; grades 1,2,3,4 of 5.",
    "The dr. will see her; dr. to call; dr said so.",
    "术后给予阿司匹林、氯吡格雷、阿托伐他汀。单侧、双侧、全身、边缘光整、安静、强化明显、高级别胶质瘤。",
]


@pytest.mark.parametrize(("text", "name"), NAMED, ids=range(len(NAMED)))
def test_names_are_found(spans, text: str, name: str) -> None:
    assert ("name", name) in spans(text)


@pytest.mark.parametrize(("kind", "text", "value"), OTHERS, ids=range(len(OTHERS)))
def test_other_identifiers_are_found(spans, kind: str, text: str, value: str) -> None:
    assert (kind, value) in spans(text)


@pytest.mark.parametrize("text", HARMLESS, ids=range(len(HARMLESS)))
def test_words_of_reports_stay(spans, text: str) -> None:
    assert spans(text) == []


def test_a_name_is_found_again_without_its_title(spans) -> None:
    found = spans("Dr. Quellhorst called. Later quellhorst, and QUELLHORST again.")
    assert [value for kind, value in found if kind == "name"] == ["Quellhorst", "quellhorst", "QUELLHORST"]


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> int:
    """Windows of 2,000 characters."""
    monkeypatch.setattr(engine, "WINDOW", 2000)
    return 2000


def test_a_text_of_many_windows_is_read_whole(spans, narrow: int) -> None:
    filler = "the lungs are clear and the heart is normal in size. " * 90
    found = spans(f"{filler}Dr. Okonkwo {filler}电话13812345678")
    assert found == [("name", "Okonkwo"), ("phone", "13812345678")]
    assert len(filler) > 2 * narrow


@pytest.mark.parametrize("before", [44, 34, 24, 14, 4])
def test_nothing_is_lost_where_a_window_ends(spans, narrow: int, before: int) -> None:
    text = "x " * ((narrow - before) // 2) + "Dr. Okonkwo-Brown, tel 020 7946 0018." + " x" * 500
    assert ("name", "Okonkwo-Brown") in spans(text)
    assert ("phone", "020 7946 0018") in spans(text)


def test_tags_are_left_alone(spans) -> None:
    assert spans("Dr. [NAME] at [INSTITUTION], [PHONE]; 患者[NAME]于[DATE]入院") == []


def test_no_network_is_asked(monkeypatch: pytest.MonkeyPatch, spans) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert spans("a.b@example.org, https://x.example.org, 张伟医生, +44 20 7946 0018")


def test_a_fresh_process_without_sockets_finds_names() -> None:
    script = (
        "import socket\n"
        "def refuse(*a, **k): raise SystemExit('the network was asked')\n"
        "class Refused(socket.socket):\n"
        "    connect = connect_ex = sendto = refuse\n"
        "socket.socket = Refused\n"
        "socket.getaddrinfo = socket.create_connection = refuse\n"
        "from huizhen.data.deidentify_text.engine import find_all\n"
        "print([one.kind.value for one in find_all('Dr. Okonkwo, a@example.co.uk, 患者张伟')])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "['name', 'email', 'name']", done.stderr


def test_without_presidio_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    engine.load_engine.cache_clear()
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(InvalidInputError, match="presidio") as caught:
        engine.load_engine()
    assert caught.value.remedy == "pip install 'huizhen[deid]'"
    engine.load_engine.cache_clear()
