"""Tables of predictions that another library made of real patients, for `huizhen validate`.

    python studies/given_tables.py DATA OUT

writes into OUT

- heart.csv: UCI heart disease, 617 patients of Hungary, Switzerland and the VA, scored by a logistic
  regression and by gradient boosting of scikit-learn that learned from Cleveland alone; heart_tune.csv: the
  patients of Cleveland whom neither saw, to choose thresholds on;
- cbis.csv: CBIS-DDSM test set, a row a lesion and view, several a patient: a logistic regression on the
  readers' descriptors of masses and calcifications, beside the readers' BI-RADS assessment.

The data: Detrano et al., Am J Cardiol 64:304-310 (1989); Lee et al., Sci Data 4:170177 (2017).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

NUMBERS = ["age", "trestbps", "chol", "thalach", "oldpeak", "ca"]
CLASSES = ["sex", "cp", "fbs", "restecg", "exang", "slope", "thal"]
DESCRIPTORS = ["abnormality type", "mass shape", "mass margins", "calc type", "calc distribution"]


def heart(data: Path, out: Path) -> None:
    """Write the tables of heart disease."""
    table = pd.read_csv(data / "uci_heart_disease_4_hospitals" / "heart_4_hospitals.csv")
    table["patient_id"] = [f"{site}-{k}" for k, site in enumerate(table["hospital"])]
    table["disease"] = (table["num"] > 0).astype(int)
    home, away = table[table["hospital"] == "cleveland"], table[table["hospital"] != "cleveland"]
    train, tune = train_test_split(home, test_size=0.35, random_state=1, stratify=home["disease"])
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    classes = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    models = {
        "prob": make_pipeline(
            make_column_transformer((numbers, NUMBERS), (classes, CLASSES)), LogisticRegression(C=0.3)
        ),
        "boosting": HistGradientBoostingClassifier(max_iter=60, learning_rate=0.05, random_state=1),
    }
    for name, model in models.items():
        model.fit(train[NUMBERS + CLASSES], train["disease"])
        for part in (tune, away):
            part.insert(0, name, model.predict_proba(part[NUMBERS + CLASSES])[:, 1].round(6))
    for name, part in (("heart.csv", away), ("heart_tune.csv", tune)):
        part = part.assign(sex=part["sex"].map({1.0: "male", 0.0: "female"}))
        columns = ["patient_id", "disease", "prob", "boosting", "hospital", "sex", "age"]
        part[columns].to_csv(out / name, index=False)


def cbis(data: Path, out: Path) -> None:
    """Write the table of lesions."""
    folder = data / "mammography_tabular"
    parts = {}
    for part in ("train", "test"):
        kinds = [
            pd.read_csv(folder / f"cbis_ddsm_{kind}_case_description_{part}_set.csv")
            for kind in ("mass", "calc")
        ]
        parts[part] = pd.concat([kind.rename(columns={"breast_density": "breast density"}) for kind in kinds])
        parts[part][DESCRIPTORS] = parts[part][DESCRIPTORS].fillna("none").astype(str)
        parts[part]["malignant"] = (parts[part]["pathology"] == "MALIGNANT").astype(int)
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression(C=0.5, max_iter=1000))
    model.fit(parts["train"][DESCRIPTORS], parts["train"]["malignant"])
    test = parts["test"]
    test = test[~test["patient_id"].isin(set(parts["train"]["patient_id"]))]
    found = pd.DataFrame(
        {
            "patient_id": test["patient_id"],
            "malignant": test["malignant"],
            "prob": np.round(model.predict_proba(test[DESCRIPTORS])[:, 1], 6),
            "birads": test["assessment"],
            "kind": test["abnormality type"],
            "density": test["breast density"],
        }
    )
    found.to_csv(out / "cbis.csv", index=False)


def main() -> None:
    """Write all tables."""
    data, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    heart(data, out)
    cbis(data, out)


if __name__ == "__main__":
    main()
