"""Phantom breast studies: DICOM files with a known truth, marked as phantoms in every file.

    spec = breast_trio_spec(patients_per_hospital=75)
    study = generate(spec, Path("phantom"), seed=7)
    best_reachable_auc(spec, "dogwood", frozenset({"MG", "US"}), seed=7)

`latent` is the generative model in plain numpy, `mammogram`, `mri` and `ultrasound` draw it, `objects` makes
DICOM of it and `generator` writes the study.
"""

from huizhen.data.phantom.folder import PhantomFolder, best_score
from huizhen.data.phantom.generator import generate
from huizhen.data.phantom.latent import best_reachable_auc, modality_subsets, subset_name
from huizhen.data.phantom.spec import Hospital, PhantomSpec, Photometric, Scanner, TransferSyntax
from huizhen.data.phantom.trio import breast_trio_spec

__all__ = [
    "Hospital",
    "PhantomFolder",
    "PhantomSpec",
    "Photometric",
    "Scanner",
    "TransferSyntax",
    "best_reachable_auc",
    "best_score",
    "breast_trio_spec",
    "generate",
    "modality_subsets",
    "subset_name",
]
