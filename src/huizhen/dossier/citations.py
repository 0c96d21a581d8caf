"""Numbers as a reader sees them, each tied to the very place in the ledger entry that it was read from."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from huizhen.dossier.wording import Text, known, say, say_or
from huizhen.errors import DossierError, InvalidInputError

Scalar = str | int | float | bool | None
_DIGEST = re.compile(r"[0-9a-f]{16}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cited:
    """A number (or a quotation) on the page: what is shown, and where in which ledger entry it stands.

    `values` maps JSON pointers (RFC 6901) into the entry's body to the scalars found there; `text` is how
    they are shown, `size` the n behind them; `label` says what is measured, for the search and for machines.
    """

    entry: int
    label: Text
    text: Text
    values: Mapping[str, Scalar]
    size: Text | None = None
    method: str = ""
    phantom: bool = False
    kind: ClassVar[str] = "cited"

    @property
    def style(self) -> str:
        """How it is set: a number on one line, a digest in monospace, a text as it runs."""
        if self.is_number:
            return "num"
        first = next(iter(self.values.values()), None)
        return "num code" if isinstance(first, str) and _DIGEST.fullmatch(first) else "num quote"

    @property
    def is_number(self) -> bool:
        """Whether what is cited is a measurement rather than a text."""
        return any(isinstance(v, int | float) and not isinstance(v, bool) for v in self.values.values())


def resolve(body: Any, pointer: str) -> Scalar:
    """Return the scalar at an RFC 6901 JSON `pointer` in `body`. Raises `InvalidInputError` if there is none.

    >>> resolve({"detail": {"a/b": [1, 2.5]}}, "/detail/a~1b/1")
    2.5
    """
    node = body
    for raw in pointer.split("/")[1:]:
        step = raw.replace("~1", "/").replace("~0", "~")
        try:
            node = node[int(step)] if isinstance(node, Sequence) and not isinstance(node, str) else node[step]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise InvalidInputError(f"{pointer} leads nowhere", remedy="cite a field of the entry") from error
    if isinstance(node, Mapping | list | tuple):
        raise InvalidInputError(f"{pointer} is not a single value", remedy="cite one of its fields")
    return node  # type: ignore[no-any-return]  # JSON leaves are scalars once containers are ruled out


def pointer(*steps: str | int) -> str:
    """Return the JSON pointer of `steps`.

    >>> pointer("detail", "a/b", 0)
    '/detail/a~1b/0'
    """
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def decimal(value: float, places: int = 3) -> str:
    """Return `value` with a fixed number of decimals and a true minus sign.

    >>> decimal(0.8731), decimal(-0.0124), decimal(-0.0001)
    ('0.873', '−0.012', '0.000')
    """
    text = f"{value:.{places}f}"
    if text.startswith("-") and not text.strip("-0."):
        text = text[1:]
    return text.replace("-", "−")


def span(low: float, high: float) -> Text:
    """Return an interval's bounds: an en dash between, or a word when a bound is negative.

    >>> span(0.842, 0.901).en, span(-0.01, 0.02).zh
    ('0.842–0.901', '−0.010 至 0.020')
    """
    if low < 0 or high < 0:
        return say("number.span", low=decimal(low), high=decimal(high))
    return Text.both(f"{decimal(low)}–{decimal(high)}")


def p_value(p: float) -> Text:
    """Return a p-value as journals print it under a heading "p".

    >>> p_value(0.0004).en, p_value(0.0321).en, p_value(0.4).en
    ('<0.001', '0.032', '0.40')
    """
    return Text.both("<0.001" if p < 0.001 else decimal(p, 3 if p < 0.1 else 2))


def plainly(value: Scalar) -> Text:
    """Return any scalar readably: integers grouped, other numbers to three decimals, words as they are.

    >>> plainly(12345).en, plainly(0.25).en, plainly(None).en, plainly("abc").en
    ('12,345', '0.250', '–', 'abc')
    """
    match value:
        case None:
            return Text.both("–")
        case bool():
            return say("number.yes" if value else "number.no")
        case int():
            return Text.both(f"{value:,}".replace("-", "−"))
        case float() if not math.isfinite(value):
            return Text.both("–")
        case float():
            return Text.both(_compact(value))
        case str():
            return Text.both(value or "–")


def readable(value: Scalar) -> Text:
    """Return a scalar as `plainly` does, but words that the dossier knows in each language.

    >>> readable("malignant").zh, readable("breast-trio").zh
    ('恶性', 'breast-trio')
    """
    return say_or(f"value.{value}", value) if isinstance(value, str) else plainly(value)


_NAMES = (
    "site sites sender receiver column columns modality modalities name names title title_zh scanner group "
    "grouping patient outcome path labels folder file lead signed_by key_id digest"
)
NAMES = frozenset(_NAMES.split())
"""Fields that hold what somebody named: shown as it is, whatever our words mean by the same letters."""


def shown_under(*steps: object) -> Callable[[Scalar], Text]:
    """Return how a scalar is shown that stands at the `steps` of a body: what users named, as they did.

    >>> shown_under("detail", "site")("test").zh, shown_under("detail", "part")("test").zh
    ('test', '内部测试')
    """
    named = [step for step in steps if isinstance(step, str)]
    return plainly if named and named[-1] in NAMES else readable


def _compact(value: float) -> str:
    """Three decimals, none for whole numbers, powers of ten where three decimals would show nothing."""
    if value.is_integer() and abs(value) < 1e15:
        return f"{int(value):,}".replace("-", "−")
    return decimal(value) if abs(value) >= 0.0005 else f"{value:.1e}".replace("-", "−")


def size_of(n: int | None, events: int | None, unit: str, *, people: int | None = None) -> Text | None:
    """Return the n behind a number, with its events and, of other units, the `people` they are of, or None.

    >>> size_of(213, 71, "patient").en, size_of(1, None, "image").en
    ('n=213 patients (71 events)', 'n=1 image')
    >>> size_of(299, 107, "row", people=150).en
    'n=299 rows (107 events) of 150 patients'
    """
    if n is None:
        return None
    key = f"size.{unit}{'_one' if n == 1 else ''}"
    size = say(key, n=f"{n:,}") if known(key) else say("size.other", n=f"{n:,}", unit=unit)
    if events is not None:
        size = say("size.events_one" if events == 1 else "size.events", size=size, events=f"{events:,}")
    if people is None or unit == "patient":
        return size
    return say("size.of_one" if people == 1 else "size.of_people", size=size, people=f"{people:,}")


def when(time: str) -> Text:
    """Return an ISO 8601 time to the minute, in UTC as the ledger keeps it.

    >>> when("2026-03-01T09:30:05.123456Z").en
    '2026-03-01 09:30 UTC'
    """
    try:
        moment = datetime.fromisoformat(time.replace("Z", "+00:00"))
    except ValueError:
        return Text.both(time)
    return Text.both(f"{moment:%Y-%m-%d %H:%M}{' UTC' if not moment.utcoffset() else f'{moment:%z}'}")


def cite(
    entry: Any,
    label: Text,
    *pointers: str,
    show: Callable[..., Text] = plainly,
    phantom: bool = False,
    **more: Any,
) -> Cited:
    """Return the citation of the scalars at `pointers` in `entry`, shown by `show(*scalars)`.

    `more` gives `size` and `method`. Raises `DossierError` naming the entry when a pointer leads nowhere.
    """
    try:
        values = {path: resolve(entry.body, path) for path in pointers}
    except InvalidInputError as error:
        raise DossierError(
            f"ledger entry {entry.index} ({entry.kind}) lacks what is to be shown: {error.message}",
            remedy="run the stage that writes it again with this version",
            field=str(entry.index),
        ) from error
    return Cited(
        entry=entry.index, label=label, text=show(*values.values()), values=values, phantom=phantom, **more
    )
