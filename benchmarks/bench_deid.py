"""De-identification: files a second, this package against dicom-anonymizer alone, on the same files.

    PYTHONPATH=src OMP_NUM_THREADS=1 python benchmarks/bench_deid.py

CT slices with headers as a scanner writes them (57 public and 41 private elements, sequences among them)
are made in a scratch folder. In every repeat each contender reads all of them and writes de-identified
copies to an empty folder, in alternating order. Printed are the median over the repeats of milliseconds a
file, by the wall's clock and by the processor's, with the 95 % interval of the bootstrap over repeats, and
the median ratio to the peer within a repeat with its own: whatever else the machine does falls on all
contenders of a repeat. No repeat is begun that would end after `--seconds`; the load before and after is
printed. The peer runs in one process, as it comes, with its actions of the edition 2024b, and removes private
elements. It writes no code of the method, shifts no date, and names files as they were. Where it isn't
installed (`pip install dicom-anonymizer==2.1.0`), only our own are timed. `--folder` times the files of a
folder instead; `--only prepare` runs the command alone, for its peak of memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence

from huizhen.data.deidentify.files import deidentify_file
from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify.policy import DeidPolicy, PixelPolicy
from huizhen.data.deidentify.prepare import prepare
from huizhen.data.readers.dicom_headers import quiet

PEER = "dicom-anonymizer"
RELEASED = PixelPolicy(
    release=("US", "SC", "CR", "XA", "OT", "RG", "XC", "ES", "RF"), release_annotated=True, heads="release"
)


def slice_of(number: int, side: int, pixels: bytes) -> Dataset:
    """Return one CT slice of a made-up patient; a hundred slices are a series."""
    data = Dataset()
    series = number // 100
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", f"1.2.3.{series}.{number}"
    data.StudyInstanceUID, data.SeriesInstanceUID = f"1.2.3.{series}", f"1.2.3.{series}.0"
    data.FrameOfReferenceUID = f"1.2.3.{series}.9"
    data.PatientID, data.PatientName = f"ID{series:06d}", f"Family{series}^Given"
    data.PatientBirthDate, data.PatientSex, data.PatientAge = "19600101", "F", "064Y"
    for word in ("Study", "Series", "Acquisition", "Content"):
        setattr(data, f"{word}Date", "20240301")
        setattr(data, f"{word}Time", f"{number % 24:02d}1500.25")
    data.Modality, data.Manufacturer, data.InstitutionName = "CT", "Maker", "A Hospital"
    data.StudyDescription, data.SeriesDescription = "CT chest abdomen", "axial 5mm"
    data.ReferringPhysicianName = data.OperatorsName = data.PerformingPhysicianName = "Doctor^Some"
    data.AccessionNumber, data.StudyID = f"A{series}", f"{series}"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.ImagePositionPatient, data.ImageOrientationPatient = [0, 0, number], [1, 0, 0, 0, 1, 0]
    data.PixelSpacing, data.SliceThickness, data.KVP, data.ExposureTime = [0.7, 0.7], 5, 120, 500
    for i in range(20):
        data.add_new(0x00180000 | (0x1100 + 0x10 * (i % 12)), "DS", str(i))
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "RPID16", "RADLEX", "CT CHEST"
    data.ProcedureCodeSequence = Sequence([code])
    reference = Dataset()
    reference.ReferencedSOPClassUID = data.SOPClassUID
    reference.ReferencedSOPInstanceUID = f"1.2.3.{series}.0.1"
    data.ReferencedImageSequence = Sequence([reference])
    block = data.private_block(0x0029, "A MAKER'S HEADER", create=True)
    for i in range(40):
        block.add_new(i, "LO", f"private {i}")
    data.Rows = data.Columns = side
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation, data.SamplesPerPixel = 15, 1, 1
    data.PhotometricInterpretation, data.PixelData = "MONOCHROME2", pixels
    return data


def make(folder: Path, files: int, side: int) -> None:
    """Write the files."""
    pixels = np.random.default_rng(0).integers(-1000, 1000, (side, side), dtype=np.int16).tobytes()
    for number in range(files):
        path = folder / f"{number // 100:03d}" / f"IM{number:05d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        pydicom.dcmwrite(path, slice_of(number, side, pixels), enforce_file_format=True)


def contenders(folder: Path, paths: list[Path]) -> dict[str, Callable[[Path], int]]:
    """Return the contenders by name: each writes copies below a folder, and says how many it wrote."""
    who, policy = Pseudonymiser(secret=b"b" * 32), DeidPolicy(pixels=RELEASED)

    def ours(out: Path) -> int:
        made = [deidentify_file(path, out, policy=policy, who=who) for path in paths]
        return sum(one.place != "" for one in made)

    def command(out: Path, processes: int) -> int:
        done = prepare(folder, out / "out", state=out / "state", policy=policy, who=who, processes=processes)
        return sum(1 for _ in (out / "out" / "images").rglob("*.dcm")) if done.files else 0

    found: dict[str, Callable[[Path], int]] = {
        "huizhen, a file at a time": ours,
        "huizhen site prepare, one process": lambda out: command(out, 1),
        "huizhen site prepare, two processes": lambda out: command(out, 2),
    }
    try:
        from dicomanonymizer import simpledicomanonymizer as peer
    except ImportError:
        return found

    def theirs(out: Path) -> int:
        done = 0
        for i, path in enumerate(paths):
            try:
                peer.anonymize_dicom_file(
                    str(path), str(out / f"{i}.dcm"), base_rules_gen=peer.initialize_actions_2024b
                )
                done += 1
            except Exception:  # what it can't do is what is counted
                continue
        return done

    return {PEER: theirs, **found}


def processor_s() -> float:
    """Return the processor's seconds of this process and of those that it has ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What one contender took in one repeat: files written, and milliseconds a file by both clocks."""

    written: int
    wall_ms: float
    processor_ms: float


def timed(run: Callable[[Path], int], out: Path) -> Taken:
    """Run a contender into an empty folder and return what it took."""
    out.mkdir()
    start, spent = time.perf_counter(), processor_s()
    written = run(out)
    wall, processor = time.perf_counter() - start, processor_s() - spent
    shutil.rmtree(out)
    per = 1000 / max(1, written)
    return Taken(written=written, wall_ms=wall * per, processor_ms=processor * per)


def summary(name: str, taken: list[dict[str, Taken]]) -> dict[str, object]:
    """Return a contender's medians over repeats, and those of its ratio to the peer in the same repeat."""
    found: dict[str, object] = {"written": taken[-1][name].written}
    for clock in ("wall_ms", "processor_ms"):
        mine = [float(getattr(one[name], clock)) for one in taken]
        found[clock] = median_of(mine)
        if PEER in taken[0] and name != PEER:
            pairs = zip(mine, taken, strict=True)
            found[f"{clock}_to_peer"] = median_of([own / getattr(one[PEER], clock) for own, one in pairs])
    middle = statistics.median(one[name].wall_ms for one in taken)
    return found | {"files_per_second": round(1000 / middle, 1)}


def median_of(values: list[float]) -> list[float]:
    """Return the median, and the 95 % interval of the bootstrap over repeats."""
    draws = np.random.default_rng(0).choice(values, size=(2000, len(values)))
    low, high = np.percentile(np.median(draws, axis=1), (2.5, 97.5))
    return [round(one, 3) for one in (statistics.median(values), float(low), float(high))]


def main() -> None:
    """Run the benchmark and print its result as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=140)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, quiet():
        folder = given.folder or Path(scratch) / "in"
        if given.folder is None:
            make(folder, given.files, given.side)
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        taken: list[dict[str, Taken]] = []
        begun, load = time.perf_counter(), os.getloadavg()[0]
        for repeat in range(given.repeats):
            order = [one for one in contenders(folder, paths).items() if given.only in one[0]]
            spent = time.perf_counter() - begun
            if taken and spent * (len(taken) + 1) / len(taken) > given.seconds:
                break
            ways = order if repeat % 2 == 0 else order[::-1]
            taken.append({name: timed(run, Path(scratch) / "out") for name, run in ways})
    size = sum(path.stat().st_size for path in paths) if given.folder else 0
    print(
        json.dumps(
            {
                "files": len(paths),
                "megabytes": round(size / 1e6, 1) if size else None,
                "repeats": len(taken),
                "processors": os.cpu_count(),
                "load": [round(load, 1), round(os.getloadavg()[0], 1)],
                "seconds": round(time.perf_counter() - begun),
                "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
                "contenders": {name: summary(name, taken) for name in taken[0]},
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
