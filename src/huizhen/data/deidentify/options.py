"""The options of the profile, with their codes: DICOM PS3.15 E.3 and PS3.16 CID 7050."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["BASIC", "CODES", "Option"]


class Option(StrEnum):
    """An option to the Basic Application Level Confidentiality Profile."""

    CLEAN_PIXELS = "clean_pixels"
    CLEAN_GRAPHICS = "clean_graphics"
    CLEAN_STRUCTURED_CONTENT = "clean_structured_content"
    CLEAN_DESCRIPTORS = "clean_descriptors"
    FULL_DATES = "full_dates"
    MODIFIED_DATES = "modified_dates"
    PATIENT_CHARACTERISTICS = "patient_characteristics"
    DEVICE = "device"
    UIDS = "uids"
    SAFE_PRIVATE = "safe_private"
    INSTITUTION = "institution"


BASIC = ("113100", "Basic Application Confidentiality Profile")
"""The code of the profile itself (scheme DCM), and its meaning."""

CODES: dict[Option, tuple[str, str]] = {
    Option.CLEAN_PIXELS: ("113101", "Clean Pixel Data Option"),
    Option.CLEAN_GRAPHICS: ("113103", "Clean Graphics Option"),
    Option.CLEAN_STRUCTURED_CONTENT: ("113104", "Clean Structured Content Option"),
    Option.CLEAN_DESCRIPTORS: ("113105", "Clean Descriptors Option"),
    Option.FULL_DATES: ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    Option.MODIFIED_DATES: ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    Option.PATIENT_CHARACTERISTICS: ("113108", "Retain Patient Characteristics Option"),
    Option.DEVICE: ("113109", "Retain Device Identity Option"),
    Option.UIDS: ("113110", "Retain UIDs Option"),
    Option.SAFE_PRIVATE: ("113111", "Retain Safe Private Option"),
    Option.INSTITUTION: ("113112", "Retain Institution Identity Option"),
}
"""The code and meaning of each option, scheme DCM."""
