"""100,000 random edits of small logs, none missed when the verifier holds the last head.

Each edit is of a kind that an owner, an intruder or a broken disk might make: of bytes, of lines, of whole
commits, with the log's own key and with another. Edits that change nothing are drawn again.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huizhen.core.digests import canonical_json
from huizhen.errors import VerificationError
from huizhen.ledger.merkle import leaf_hash, root
from huizhen.ledger.records import Entry, SignedHead
from huizhen.ledger.signing import SigningKey
from huizhen.ledger.verification import verify_bytes

EDITS = 100_000
KEY, OTHER = SigningKey.generate(), SigningKey.generate()


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The content of a log's two files."""

    entries: bytes
    heads: bytes


Edit = tuple[str, Files]
"""What was done, and what came of it."""


def some_entry(index: int, dice: random.Random, time: str) -> bytes:
    body = {"auc": dice.random(), "n": dice.randrange(1000), "名": ["甲", None, True][dice.randrange(3)]}
    entry = Entry(index=index, kind=dice.choice(["study", "evidence"]), time=time, version="0.1.0", body=body)
    return entry.line()


def signed(lines: Sequence[bytes], sizes: Sequence[int], key: SigningKey) -> list[bytes]:
    """Return heads of these sizes over these lines, as `Log` would have made them."""
    leaves, heads = [leaf_hash(line) for line in lines], []
    before: SignedHead | None = None
    for size in sizes:
        time = json.loads(lines[size - 1])["time"]
        before = SignedHead.sign(key, size=size, root=root(leaves[:size]), time=time, previous=before)
        heads.append(before.line())
    return heads


def joined(lines: Sequence[bytes], heads: Sequence[bytes]) -> Files:
    return Files(
        entries=b"".join(line + b"\n" for line in lines), heads=b"".join(line + b"\n" for line in heads)
    )


def some_log(dice: random.Random) -> tuple[list[bytes], list[int], list[bytes]]:
    """Return a log's entries (1 to 9), the sizes of its heads (1 to 4), and its heads."""
    count = dice.randrange(1, 10)
    seconds = sorted(dice.randrange(60) for _ in range(count))
    lines = [some_entry(i, dice, f"2026-01-02T03:04:{second:02d}Z") for i, second in enumerate(seconds)]
    earlier = dice.sample(range(1, count), min(count - 1, dice.randrange(4)))
    sizes = sorted([*earlier, count])
    return lines, sizes, signed(lines, sizes, KEY)


def flip_bit(data: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << dice.randrange(8)]) + data[place + 1 :]


def delete_bytes(data: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(data))
    return data[:place] + data[place + dice.choice([1, 1, 2, 10, 100]) :]


def insert_bytes(data: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(data) + 1)
    return data[:place] + dice.choice([b" ", b"\n", b"0", b"\0", b"{}\n", dice.randbytes(3)]) + data[place:]


def truncate(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data))]


def swap_bytes(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    a, b = dice.randrange(len(data)), dice.randrange(len(data))
    changed[a], changed[b] = changed[b], changed[a]
    return bytes(changed)


def relines(act: Callable[[list[bytes], random.Random], None]) -> Callable[[bytes, random.Random], bytes]:
    """Make an edit of bytes of an act on lines."""

    def edit(data: bytes, dice: random.Random) -> bytes:
        lines = data.splitlines(keepends=True)
        act(lines, dice)
        return b"".join(lines)

    return edit


def delete_line(lines: list[bytes], dice: random.Random) -> None:
    del lines[dice.randrange(len(lines))]


def repeat_line(lines: list[bytes], dice: random.Random) -> None:
    lines.insert(dice.randrange(len(lines) + 1), dice.choice(lines))


def swap_lines(lines: list[bytes], dice: random.Random) -> None:
    a, b = dice.randrange(len(lines)), dice.randrange(len(lines))
    lines[a], lines[b] = lines[b], lines[a]


def shuffle_lines(lines: list[bytes], dice: random.Random) -> None:
    dice.shuffle(lines)


def cut_lines(lines: list[bytes], dice: random.Random) -> None:
    del lines[dice.randrange(len(lines)) :]


def change_field(lines: list[bytes], dice: random.Random) -> None:
    """Give one field of a record the value that it has in another record, or a likely one."""
    place = dice.randrange(len(lines))
    record = json.loads(lines[place])
    name = dice.choice(sorted(record))
    likely = [json.loads(dice.choice(lines))[name], 0, 1, "", None, "0" * 64, {}, "2026-01-02T03:04:59Z"]
    record[name] = dice.choice(likely)
    lines[place] = canonical_json(record) + b"\n"


def relayout(lines: list[bytes], dice: random.Random) -> None:
    """Write a record in another layout that means the same."""
    place = dice.randrange(len(lines))
    record = (
        dict(reversed(json.loads(lines[place]).items())) if dice.random() < 0.5 else json.loads(lines[place])
    )
    lines[place] = json.dumps(record, ensure_ascii=dice.random() < 0.5).encode() + b"\n"


BYTE_EDITS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "bit flipped": flip_bit,
    "bytes deleted": delete_bytes,
    "bytes inserted": insert_bytes,
    "truncated": truncate,
    "bytes swapped": swap_bytes,
    "line deleted": relines(delete_line),
    "line repeated": relines(repeat_line),
    "lines swapped": relines(swap_lines),
    "lines shuffled": relines(shuffle_lines),
    "lines cut off": relines(cut_lines),
    "field changed": relines(change_field),
    "laid out anew": relines(relayout),
}


def another_entry(lines: list[bytes], dice: random.Random) -> None:
    place = dice.randrange(len(lines))
    lines[place] = some_entry(place, dice, json.loads(lines[place])["time"])


def one_more_entry(lines: list[bytes], dice: random.Random) -> None:
    """Insert a valid-looking entry anywhere and number all again."""
    place = dice.randrange(len(lines) + 1)
    time = json.loads(lines[min(place, len(lines) - 1)])["time"]
    lines.insert(place, some_entry(place, dice, time))
    renumber(lines)


def one_entry_less(lines: list[bytes], dice: random.Random) -> None:
    del lines[dice.randrange(len(lines))]
    renumber(lines)


def two_entries_swapped(lines: list[bytes], dice: random.Random) -> None:
    """Swap what two entries say and leave their numbers and times."""
    a, b = dice.randrange(len(lines)), dice.randrange(len(lines))
    one, two = json.loads(lines[a]), json.loads(lines[b])
    one["body"], two["body"] = two["body"], one["body"]
    lines[a], lines[b] = canonical_json(one), canonical_json(two)


def renumber(lines: list[bytes]) -> None:
    for index, line in enumerate(lines):
        lines[index] = canonical_json({**json.loads(line), "index": index})


FORGERIES = (another_entry, one_more_entry, one_entry_less, two_entries_swapped)


def edit_bytes(dice: random.Random, lines: list[bytes], sizes: list[int], heads: list[bytes]) -> Edit:
    """Edit one of the files, or both, without a key."""
    name, whole = dice.choice(sorted(BYTE_EDITS)), joined(lines, heads)
    edit, which = BYTE_EDITS[name], dice.choices(["entries", "heads", "both"], [9, 9, 2])[0]
    entries = whole.entries if which == "heads" else edit(whole.entries, dice)
    return f"{which}: {name}", Files(
        entries=entries, heads=whole.heads if which == "entries" else edit(whole.heads, dice)
    )


def roll_back(dice: random.Random, lines: list[bytes], sizes: list[int], heads: list[bytes]) -> Edit:
    """Take the last commits away, entries and heads."""
    kept = dice.randrange(len(heads))
    return "commits taken away", joined(lines[: sizes[kept - 1]] if kept else [], heads[:kept])


def forge_entries(dice: random.Random, lines: list[bytes], sizes: list[int], heads: list[bytes]) -> Edit:
    """Replace what entries say, well-formed, and keep the heads."""
    changed = list(lines)
    dice.choice(FORGERIES)(changed, dice)
    return "entries forged", joined(changed, heads)


def forge_head(dice: random.Random, lines: list[bytes], sizes: list[int], heads: list[bytes]) -> Edit:
    """Sign one head, or all from one on, with another key; the heads name one another rightly."""
    first = dice.randrange(len(heads))
    last = dice.choice([first + 1, len(heads)])
    changed, before = list(heads), None
    theirs = signed(lines, sizes, OTHER)
    for place in range(first, last):
        values: dict[str, Any] = json.loads(theirs[place])
        before = SignedHead.from_line(changed[place - 1], file="", field="") if place else None
        time, size = values["time"], values["size"]
        top = bytes.fromhex(values["root"])
        changed[place] = SignedHead.sign(OTHER, size=size, root=top, time=time, previous=before).line()
    return "heads forged", joined(lines, changed)


def resign(dice: random.Random, lines: list[bytes], sizes: list[int], heads: list[bytes]) -> Edit:
    """Sign the whole log again, as it is or rewritten, with another key or, rewritten, with its own."""
    changed, key = list(lines), dice.choice([KEY, OTHER])
    rewrite = key is KEY or dice.random() < 0.5
    while rewrite and changed[: len(lines)] == lines:  # to add entries with the log's own key is no edit
        changed = list(lines)
        dice.choice(FORGERIES)(changed, dice)
    fitting = sorted({size for size in sizes if size < len(changed)} | ({len(changed)} - {0}))
    name = f"signed again by {'its' if key is KEY else 'another'} key"
    return name, joined(changed, signed(changed, fitting, key))


ATTACKS = (edit_bytes, forge_entries, roll_back, forge_head, resign)
WEIGHTS = (84, 8, 2, 3, 3)  # signing is slow, and its outcomes are few


@pytest.mark.slow
def test_no_edit_of_a_hundred_thousand_is_missed() -> None:
    dice = random.Random(20260102)
    tried: Counter[str] = Counter()
    missed: list[tuple[Files, Files]] = []
    while tried.total() < EDITS:
        lines, sizes, heads = some_log(dice)
        whole = joined(lines, heads)
        published = verify_bytes(whole.entries, whole.heads).head
        for _ in range(min(200, EDITS - tried.total())):
            edited = whole
            while edited == whole:
                attack = dice.choices(ATTACKS, WEIGHTS)[0]
                name, edited = attack(dice, lines, sizes, heads)
            tried[name] += 1
            if not is_found(edited, published):
                missed.append((whole, edited))
    assert tried.total() == EDITS
    assert len(missed) == 0, missed[0]
    assert len(tried) == 3 * len(BYTE_EDITS) + 5, tried
    assert min(tried.values()) > 200, tried


def is_found(files: Files, published: SignedHead) -> bool:
    """Tell whether verification refuses the files, by its own error and no other."""
    try:
        verify_bytes(files.entries, files.heads, external_head=published)
    except VerificationError:
        return True
    return False


@given(entries=st.binary(max_size=300), heads=st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_no_bytes_are_taken_for_a_log(entries: bytes, heads: bytes) -> None:
    with pytest.raises(VerificationError):
        verify_bytes(entries, heads)


def test_the_search_would_notice_a_verifier_that_trusts_the_heads() -> None:
    """The same attacks succeed without the head from outside, so they are real."""
    dice = random.Random(7)
    taken = 0
    for number in range(60):
        lines, sizes, heads = some_log(dice)
        _, files = (resign, roll_back)[number % 2](dice, lines, sizes, heads)
        if files.heads and files != joined(lines, heads):
            verify_bytes(files.entries, files.heads)
            taken += 1
    assert taken > 30
