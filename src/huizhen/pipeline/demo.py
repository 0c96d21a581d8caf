"""The demonstration: phantom hospitals, a study over them, and its verified dossier."""

from __future__ import annotations

from pathlib import Path

from huizhen.core.files import write_text
from huizhen.core.progress import Progress
from huizhen.core.words import Language
from huizhen.data.phantom import PhantomFolder, breast_trio_spec, generate
from huizhen.pipeline.finish import RunResult
from huizhen.pipeline.run import run_study

PATIENTS = 75
SEED = 20
EPOCHS = 40


def run_demo(
    folder: Path,
    *,
    progress: Progress,
    language: Language,
    patients: int | None = None,
    home: Path | None = None,
) -> RunResult:
    """Make phantom hospitals of `patients` each in `folder`, and run the demonstration study on them.

    A second call goes on where the first one stood. Raises what `generate` and `run_study` raise.
    """
    spec = breast_trio_spec(patients_per_hospital=patients or PATIENTS)
    phantoms = generate(spec, folder / "phantoms", seed=SEED, progress=progress)
    study_file = folder / "study.toml"
    text = demo_study(phantoms)
    if not study_file.exists() or study_file.read_text(encoding="utf-8") != text:
        write_text(study_file, text)
    return run_study(
        study_file, out=folder / "run", data_root=folder, home=home, progress=progress, language=language
    )


def demo_study(phantoms: PhantomFolder, *, seed: int = SEED, epochs: int = EPOCHS, variants: str = "") -> str:
    """Return the demonstration's study file: three hospitals develop, a fourth, shifted one stays external.

    `phantoms.root` must be the folder "phantoms" below the data root.
    """
    sites = "".join(_site(name, external=name == phantoms.hospitals[-1]) for name in phantoms.hospitals)
    chosen = variants or '"cman", "concatenation", "late_average", "single"'
    return f"""# The demonstration study of huizhen. All images are simulated phantoms: no figure is clinical.
schema_version = 1
name = "three-hospital-demo"
title = "Malignancy of a breast lesion from mammography, MRI and ultrasound (phantoms)"
title_zh = "乳腺钼靶、磁共振与超声联合判断病灶良恶性(仿真数据)"
question = "Is the lesion malignant, judged from whichever of the three modalities a patient has?"
seed = {seed}
phantom = true
phantom_truth = "phantoms/truth/latent.csv"   # opened only at validation

[task]
kind = "binary"
outcome = "malignancy"
positive = ["malignant"]
negative = ["benign"]

[[modality]]
name = "MG"
kind = "image"
title = "Mammography"
size = 128
max_images = 2

[[modality]]
name = "MRI"
kind = "image"
title = "Dynamic contrast-enhanced MRI"
size = 128
channels = 3          # the contrast phases: before, early, late
phases = "enhancement"
max_images = 3

[[modality]]
name = "US"
kind = "image"
title = "Ultrasound"
size = 128
max_images = 2
{sites}
[threshold]           # fixed on tuning patients before the test is opened
rule = "sensitivity"
target = 0.9

[[endpoint]]
metric = "auc"
cohort = "internal"
at_least = 0.75       # the lower confidence limit must reach it

[[endpoint]]
metric = "auc"
cohort = "external"
at_least = 0.7

[evaluation]          # what is reported beside the endpoints, fixed beforehand too
net_benefit_range = [0.1, 0.6]
prevalence = 0.05     # of a place where such a model might be used
at_specificity = 0.9

[[subgroup]]
column = "present:MRI"
title = "MRI there or not"
title_zh = "有无磁共振"

[split]
method = "holdout"
test = 0.3
tune = 0.2

[network]
variants = [{chosen}]

[training]
mode = "frozen"       # encoders stay as pretrained, their features are cached
epochs = {epochs}
view_augment = 3
average_weights = 0.95
"""


def _site(name: str, *, external: bool) -> str:
    """Return one hospital's tables."""
    role = "external" if external else "development"
    head = f'\n[[site]]\nname = "{name}"\nrole = "{role}"\njurisdiction = "XX"\n'
    return head + "".join(
        f"""
[[site.source]]
reader = "dicom"
modality = "{modality}"
path = "phantoms/{name}/dicom"
labels = "phantoms/{name}/labels.csv"
columns = {{ patient = "patient", outcome = "outcome" }}
dicom_modality = "{dicom}"
masks = "phantoms/{name}/masks"
bag = "{bag}"
"""
        for modality, dicom, bag in (("MG", "MG", "image"), ("MRI", "MR", "slices"), ("US", "US", "frames"))
    )
