"""Private elements: all go, but those that are known to be safe, when the policy retains these.

Source: DICOM PS3.15 E.3.10 and Table E.3.10-1, of which those that hold numbers or a code are taken; elements
that hold text, a UID, bytes or a sequence are not, though the table has a few.
"""

from __future__ import annotations

from functools import cache

from pydicom._private_dict import private_dictionaries
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from huizhen.data.deidentify.context import Context, Rule
from huizhen.data.deidentify.legal import is_legal
from huizhen.data.deidentify.options import Option
from huizhen.data.deidentify.policy import SafePrivate
from huizhen.data.deidentify.profile import Action

__all__ = ["SAFE", "sweep_private"]

SAFE: tuple[tuple[str, int, int, str], ...] = (
    ("Philips PET Private Group", 0x7053, 0x00, "DS"),
    ("Philips PET Private Group", 0x7053, 0x09, "DS"),
    ("ELSCINT1", 0x00E1, 0x21, "DS"),
    ("ELSCINT1", 0x00E1, 0x50, "DS"),
    ("ELSCINT1", 0x01E1, 0x26, "CS"),
    ("ELSCINT1", 0x01F1, 0x01, "CS"),
    ("ELSCINT1", 0x01F1, 0x07, "DS"),
    ("ELSCINT1", 0x01F1, 0x26, "DS"),
    ("ELSCINT1", 0x01F1, 0x27, "DS"),
    ("GEMS_ACQU_01", 0x0019, 0x23, "DS"),
    ("GEMS_ACQU_01", 0x0019, 0x24, "DS"),
    ("GEMS_ACQU_01", 0x0019, 0x27, "DS"),
    ("GEMS_HELIOS_01", 0x0045, 0x01, "SS"),
    ("GEMS_HELIOS_01", 0x0045, 0x02, "FL"),
    ("GEMS_PARM_01", 0x0043, 0x39, "IS"),
    ("GEMS_PARM_01", 0x0043, 0x6F, "DS"),
    ("GEMS_SERS_01", 0x0025, 0x07, "SL"),
    ("GEIIS PACS", 0x0903, 0x10, "US"),
    ("GEIIS PACS", 0x0903, 0x11, "US"),
    ("GEIIS PACS", 0x0903, 0x12, "US"),
    ("Philips Imaging DD 001", 0x2001, 0x03, "FL"),
    ("Philips Imaging DD 001", 0x2001, 0x04, "CS"),
    ("SIEMENS MR HEADER", 0x0019, 0x0C, "IS"),
    ("SIEMENS MR HEADER", 0x0019, 0x0D, "CS"),
    ("SIEMENS MR HEADER", 0x0019, 0x0E, "FD"),
    ("SIEMENS MR HEADER", 0x0019, 0x27, "FD"),
)
"""Private creator, group, last two digits of the element, VR."""


def sweep_private(dataset: Dataset, context: Context, path: str) -> None:
    """Remove the private elements of a dataset itself (not of its sequences) that aren't known to be safe.

    A creator stays with what it is needed for, and not otherwise.
    """
    tags = [tag for tag in dataset.keys() if tag >> 16 & 1]  # noqa: SIM118  # iterating a dataset decodes it
    safe = _safe(context.policy.private) if context.policy.has(Option.SAFE_PRIVATE) else {}
    kept: set[BaseTag] = set()
    creators = {place: _creator(dataset, place) for place in {_place(tag) for tag in tags}}
    for tag in tags if safe else ():
        creator = _place(tag)
        vr = safe.get((creators[creator], tag.group, tag.element & 0xFF))
        if vr and tag.element > 0xFF and _holds(dataset, tag, vr, context):
            kept |= {tag, creator}
    for tag in tags:
        action = Action.KEEP if tag in kept else Action.REMOVE
        if action is Action.REMOVE:
            del dataset[tag]
        said = creators[_place(tag)]
        where = f"{path}{tag.group:04X}xx{tag.element & 0xFF:02X}"
        context.note(where, action, Rule.PRIVATE, said if said in private_dictionaries else "")


def _place(tag: BaseTag) -> BaseTag:
    """Return where a private element's creator stands; of a creator, itself."""
    return tag if tag.element <= 0xFF else Tag(tag.group, tag.element >> 8)


@cache
def _safe(own: tuple[SafePrivate, ...]) -> dict[tuple[str, int, int], str]:
    """Return the VR of each safe element, by creator, group and last two digits."""
    table = {(creator, group, element): vr for creator, group, element, vr in SAFE}
    return table | {(one.creator, int(one.group, 16), int(one.element, 16)): one.vr for one in own}


def _creator(dataset: Dataset, tag: BaseTag) -> str:
    """Return a private creator's own text, "" if there is none."""
    item = dataset.get_item(tag) if tag in dataset else None
    value = getattr(item, "value", None)
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return value.strip(" \0") if isinstance(value, str) else ""


def _holds(dataset: Dataset, tag: BaseTag, vr: str, context: Context) -> bool:
    """Tell whether an element is what its row in the list says, and decode it as that."""
    item = dataset.get_item(tag)
    if item is None or item.VR not in (vr, "UN", None):
        return False
    try:
        if isinstance(item, RawDataElement):
            dataset[tag] = convert_raw_data_element(item._replace(VR=vr))
        value = dataset[tag].value
    except Exception:  # pydicom raises many kinds on a damaged value
        return False
    if vr != dataset[tag].VR:
        return False
    values = value if isinstance(value, list) or hasattr(value, "append") else [value]
    who = context.identifiers
    gives_away = who.found_in if vr == "CS" else who.found_in_number
    return all(is_legal(str(one), vr) and not gives_away(str(one)) for one in values)
