"""What one word in Latin letters looks like: a name, a word of English or medicine, an eponym, an initial."""
# ruff: noqa: E501 - patterns and lists of words, one a line

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

from huizhen.data.deidentify_text.tables import words_of

__all__ = ["Look", "look_of"]

_STOP = frozenset(
    """
the a an and or of in on at to for from by with without is was were be been has have had no not this that these those he she
it they we you i his her their our your its as if then than so but who whom which what when where why how all any both each
right left bilateral ct mri mr us pet xr dob mrn sex age male female date time exam technique findings impression
history comparison indication clinical report reported reporting signed dictated specimen diagnosis patient name address telephone phone fax
mr mrs ms prof tel email e-mail unknown none normal abnormal see seen page id no nos md do rn phd male's female's department ward room clinic hospital
accession dept gp er ed icu or unit section plan assessment summary discharge admission procedure study series unremarkable negative positive
""".split()  # noqa: SIM905  # shorter to read
)
"""Words that never begin or continue a name, whatever their case and place."""

_ENDINGS = (
    "itis", "osis", "ectomy", "oscopy", "ostomy", "otomy", "graphy", "gram", "pathy", "plasty", "emia", "aemia", "uria", "algia",
    "mab", "nib", "nibs", "statin", "pril", "sartan", "olol", "cillin", "azole", "mycin", "floxacin", "cycline", "tidine", "prazole",
    "dipine", "gliptin", "gliflozin", "glutide", "parin", "xaban", "platin", "taxel", "rubicin", "bicin", "setron", "triptan", "zepam", "zolam",
    "caine", "fenac", "profen", "oxicam", "dronate", "lukast", "terol", "sone", "solone", "onide", "tropium", "amide", "azide",
    "ologist", "ologists", "iatrist", "iatrician", "ponin", "globin", "kinase", "ically", "ation", "ations", "ously", "ized", "ised", "izing", "ising", "ular", "ological",
)  # fmt: skip
"""Endings of words of medicine."""


_BEGINNINGS = (
    "immuno", "neuro", "cardio", "radio", "hemo", "haemo", "hepato", "nephro", "osteo", "gastro", "entero", "angio", "thrombo", "cyto", "histo",
    "post", "pre", "peri", "intra", "inter", "extra", "sub", "supra", "infra", "retro", "trans", "hyper", "hypo", "micro", "macro", "multi",
    "non", "anti", "para", "endo", "pneumo", "broncho", "chole", "cholecysto", "veno", "arterio", "lympho", "myo", "adeno", "fibro", "lipo", "re", "un",
    "over", "under", "mid", "semi", "mono", "poly", "pan", "auto", "electro", "echo", "thoraco", "ventriculo", "vaso", "cerebro", "cranio", "mammo",
)  # fmt: skip
"""Beginnings of words of medicine, before another word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a word looks like. `capital`: its first letter alone; `upper`: all of two letters or more."""

    capital: bool
    upper: bool
    initial: bool
    listed: bool
    """On the lists of names."""
    word: bool
    """A word of English or medicine."""
    allowed: bool
    """An eponym, brand, place or day."""
    stop: bool
    particle: bool
    length: int

    @property
    def surely_name(self) -> bool:
        """Tell whether it makes a run of words a name: listed, or nothing that is known."""
        if self.stop or self.word or self.allowed or self.length < 3:
            return False
        if self.capital:
            return True
        return self.listed or self.length > (4 if self.upper else 3)

    @property
    def caps_name(self) -> bool:
        """Tell whether a word in capitals may be a name at all."""
        return not self.stop and (self.listed or (not self.word and self.length > 3))

    @property
    def part(self) -> bool:
        """Tell whether it may begin or end a name: a listed word of English too, with a capital."""
        return self.surely_name or (self.listed and not self.stop and (self.capital or self.upper))

    @property
    def maybe(self) -> bool:
        """Tell whether it may stand within a name."""
        return self.part or self.initial or self.particle


@lru_cache(maxsize=65536)
def look_of(word: str) -> Look:
    """Return what a word looks like.

    >>> look_of("Brown").listed, look_of("Brown").surely_name, look_of("Okonkwo").surely_name
    (True, False, True)
    >>> look_of("Gleason").surely_name, look_of("Parkinson's").surely_name, look_of("thyroiditis").word
    (False, False, True)
    """
    bare = word[:-2] if word.lower().endswith("'s") else word
    lower = bare.lower()
    parts = [part for part in lower.replace("'", "-").split("-") if part]
    letters = [char for char in bare if char.isalpha()]
    upper = len(letters) > 1 and all(char.isupper() for char in letters)
    return Look(
        capital=bare[:1].isupper() and not upper,
        upper=upper,
        initial=len(bare) == 1 and bare.isupper(),
        listed=any(part in _names() for part in parts) and len(lower) > 1,
        word=all(_is_word(part) for part in parts) or lower in _words(),
        allowed=lower in _allowed()
        or (bool(parts) and all(part in _allowed() or _is_word(part) for part in parts)),
        stop=lower in _STOP,
        particle=lower in words_of("persons_en", "particles"),
        length=len(bare),
    )


def _is_word(part: str) -> bool:
    if part in _words():
        return True
    if len(part) < 7 or part in _names():
        return False
    return part.endswith(_ENDINGS) or any(
        part.startswith(begin) and part[len(begin) :] in _words() for begin in _BEGINNINGS
    )


@cache
def _names() -> frozenset[str]:
    return words_of("names_en", "surnames", "female", "male")


@cache
def _words() -> frozenset[str]:
    """Return the words of English and medicine, with those that the DICOM profile knows."""
    return words_of("words_en", "general", "medical")


@cache
def _allowed() -> frozenset[str]:
    return words_of("persons_en", "allow")
