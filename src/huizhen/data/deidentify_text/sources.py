"""Where the texts come from: a folder of files, or a table with a column of texts. Each gives documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from huizhen.core.digests import digest_file, digest_value
from huizhen.core.table_text import columns_of, numbered_rows
from huizhen.data.deidentify_text.known_table import KnownPatients
from huizhen.data.deidentify_text.policy import TextPolicy
from huizhen.data.deidentify_text.reading import SUFFIXES
from huizhen.data.deidentify_text.unreadable import TextReason
from huizhen.data.readers.paths import list_files
from huizhen.errors import DataError

__all__ = ["Document", "FolderSource", "Source", "TableSource", "open_source"]

TEXT_COLUMNS = (
    "text",
    "report",
    "note",
    "findings",
    "impression",
    "报告",
    "文本",
    "检查所见",
    "诊断意见",
    "报告内容",
)
PATIENT_COLUMNS = ("patient", "patient_id", "patientid", "mrn", "患者编号", "病案号", "病历号", "登记号")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document: its `name` (a path, or a row's number), what changes with it, and whose it is.

    Its text is in the file at `path`, or its `texts` are those of a table, one a column. `kept` are cells
    that stay as they are.
    """

    name: str
    mark: str
    patient: str
    path: Path | None = None
    texts: tuple[str, ...] = ()
    reason: TextReason | None = None
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSource:
    """The files below a folder. Whose a file is, the table of known values says, or else its first folder."""

    folder: Path
    files: tuple[str, ...]
    strays: tuple[str, ...]
    known: KnownPatients
    policy: TextPolicy

    def __len__(self) -> int:
        return len(self.files) + len(self.strays)

    def documents(self) -> Iterator[Document]:
        """Yield the documents, in one order."""
        for file in self.files:
            yield self._document(file)
        for file in self.strays:
            yield Document(name=file, mark="", patient="", reason=TextReason.LINK)

    def _document(self, file: str) -> Document:
        path = self.folder / file
        try:
            found = path.stat()
            mark = f"{found.st_size}-{found.st_mtime_ns}"
            large = found.st_size > self.policy.largest_mib << 20
        except OSError:
            mark, large = "", False
        reason = TextReason.TOO_LARGE if large else None
        if path.suffix.lower() not in SUFFIXES:
            reason = TextReason.UNKNOWN_KIND
        if path.is_symlink() or not path.is_file():
            reason = TextReason.LINK
        return Document(name=file, mark=mark, patient=self._patient(file), path=path, reason=reason)

    def _patient(self, file: str) -> str:
        """Return whose a file is, "" where nothing says so."""
        path = PurePosixPath(file)
        for name in (file, path.name, path.stem):
            if name in self.known.files:
                return self.known.files[name]
        for name in (*path.parts[:-1], path.stem, path.stem.split("_")[0]):
            if name in self.known.patients:
                return name
        return path.parts[0].strip() if len(path.parts) > 1 and not self.known.patients else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSource:
    """The rows of a table: texts in `columns`, the patient's id in `patient`, `keep` as they are."""

    path: Path
    columns: tuple[str, ...]
    patient: str
    keep: tuple[str, ...]
    rows: int
    digest: str
    encoding: str | None
    policy: TextPolicy

    def __len__(self) -> int:
        return self.rows

    def documents(self) -> Iterator[Document]:
        """Yield a document a row, in the table's order."""
        wanted = list(dict.fromkeys((self.patient, *self.columns, *self.keep)))
        for line, row in numbered_rows(self.path, wanted, encoding=self.encoding):
            texts = [row[column] for column in self.columns]
            yield Document(
                name=f"{self.path.name} {line}",
                mark=digest_value([texts, row[self.patient]])[:32],
                patient=row[self.patient].strip(),
                texts=tuple(texts),
                reason=self._reason(texts),
                kept=tuple(row[column] for column in self.keep),
            )

    def _reason(self, texts: Sequence[str]) -> TextReason | None:
        if not any(text.strip() for text in texts):
            return TextReason.EMPTY
        large = sum(map(len, texts)) > self.policy.largest_mib << 20
        return TextReason.TOO_LARGE if large else None


Source = FolderSource | TableSource


def open_source(
    path: Path,
    *,
    known: KnownPatients,
    policy: TextPolicy,
    columns: Sequence[str] = (),
    patient: str | None = None,
    keep: Sequence[str] = (),
) -> Source:
    """Return the documents of a folder or a table. `columns`, `patient` and `keep` are columns of a table.

    Raises `DataError` when there is nothing at `path`, or a column isn't there.
    """
    if path.is_dir():
        files, strays = list_files(path)
        return FolderSource(folder=path, files=tuple(files), strays=tuple(strays), known=known, policy=policy)
    if not path.is_file():
        raise DataError(
            "there is no such file or folder", remedy="name a folder of texts, or a table", file=path.name
        )
    encoding = None if policy.encoding == "auto" else policy.encoding
    held = columns_of(path, encoding=encoding)
    texts = tuple(columns) or tuple(name for name in held if name.strip().lower() in TEXT_COLUMNS)
    who = patient or next((name for name in held if name.strip().lower() in PATIENT_COLUMNS), "")
    absent = [name for name in (*texts, who, *keep) if name not in held]
    if not texts or absent:
        raise DataError(
            "the table has no column of texts, or none of those that were named, or none for the patient",
            remedy="name them by --text and --patient",
            field="columns",
            file=path.name,
        )
    rows = sum(1 for _ in numbered_rows(path, [who], encoding=encoding))
    return TableSource(
        path=path,
        columns=texts,
        patient=who,
        keep=tuple(keep),
        rows=rows,
        digest=digest_file(path),
        encoding=encoding,
        policy=policy,
    )
