"""A site with a catalogue of made-up patients."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from huizhen.core.streams import stream
from huizhen.federate.site.folder import SiteFolder, accept_lead
from huizhen.ledger.signing import PublicKey

PARTY = {"name": "A hospital", "contact": {"email": "data@example.org"}}
SAID: dict[str, Any] = {
    "identifier": "https://example.org/d/1",
    "title": "Breast imaging",
    "title_zh": "乳腺影像",
    "description": "Mammograms and MR.",
    "version": "1.0.0",
    "interoperability_level": "SPEC1000011",
    "contact": {"email": "data@example.org"},
    "publisher": PARTY,
    "health_category": ["EHRS"],
    "dataset_type": ["PseudonymisedData"],
    "access_rights": "NON_PUBLIC",
    "legislation": ["http://data.europa.eu/eli/reg/2025/327/oj"],
    "condition": "CLIN1000060",
    "collection_method": ["SPEC1000003"],
    "keywords": ["breast"],
    "provenance": ["routine care"],
    "access_page": "https://example.org/ask",
    "use_conditions": ["HMB", "NCU"],
}


COLUMNS = ("patient", "study", "series", "modality", "manufacturer", "body_part", "sex", "age", "year")


def toml_of(value: Any) -> str:
    """Return a value as inline TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {toml_of(one)}" for name, one in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def write_series(path: Path, patients: int, *, seed: int = 1, first: int = 0) -> None:
    """Write a table of series, one study a patient."""
    with path.open("w", newline="") as stream_:
        table = csv.writer(stream_)
        table.writerow(
            ["patient", "study", "series", "modality", "manufacturer", "body_part", "sex", "age", "year"]
        )
        for number in range(first, first + patients):
            draw = stream(seed, "site", number)
            name = f"p{number:05d}"
            for series in range(1 + int(draw.integers(0, 2))):
                table.writerow(
                    [
                        name,
                        f"{name}.1",
                        f"{name}.1.{series}",
                        draw.choice(["MR", "MG"]),
                        draw.choice(["Siemens", "GE", "Hologic"]),
                        "BREAST",
                        draw.choice(["F", "F", "F", "M"]),
                        int(draw.integers(30, 80)),
                        int(draw.integers(2015, 2025)),
                    ]
                )


def make_site(
    folder: Path,
    name: str,
    *,
    patients: int = 1000,
    seed: int = 1,
    lead: PublicKey | None = None,
    **limits: Any,
) -> SiteFolder:
    """Make a site's folder with a table and a `catalogue.toml`, not yet published."""
    site = SiteFolder.create(folder, name=name, data=folder)
    write_series(folder / "series.csv", patients, seed=seed)
    said = "".join(f"{field} = {toml_of(value)}\n" for field, value in SAID.items())
    told = "".join(f"{field} = {toml_of(value)}\n" for field, value in limits.items())
    text = f'[index]\nseries = "series.csv"\n[record]\n{said}[disclosure]\n{told}'
    (folder / "catalogue.toml").write_text(text, encoding="utf-8")
    if lead is not None:
        accept_lead(site, lead)
    return site
