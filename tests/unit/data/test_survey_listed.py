"""A file that several sites share: each site takes the patients whom it lists."""

import pytest

from huizhen.errors import DataError


def share(hospitals, *names):
    """Let sites with a table of four patients each take their images from one shelf of all of them."""
    for name in names:
        images, table = hospitals.site(name, "US", "clinic"), hospitals.shelves[name][1]
        images.patients = "listed"
        images.path = "everybody.npz"
        for i in range(4):
            table.rows[f"{name}{i}"] = {"age": 50.0 + i, "er": "pos"}
            table.outcomes[f"{name}{i}"] = ("malignant" if i % 2 else "benign",)
    for name in names:
        for other in names:
            for i in range(3):
                hospitals.shelves[name][0].put(f"{other}{i}", None)


def test_each_site_takes_the_images_of_its_own_patients(hospitals):
    share(hospitals, "north", "south")
    taken = hospitals.take()
    assert [(c.site, c.patient_id, len(c.images.get("US", ()))) for c in taken.cohort.cases] == [
        ("north", "north0", 1),
        ("north", "north1", 1),
        ("north", "north2", 1),
        ("north", "north3", 0),
        ("south", "south0", 1),
        ("south", "south1", 1),
        ("south", "south2", 1),
        ("south", "south3", 0),
    ]
    assert taken.cohort.exclusions == ()
    found = {step.site: (step.patients, step.images) for step in taken.flow.steps if step.step == "found"}
    assert found == {"north": (4, 3), "south": (4, 3)}


def test_an_external_site_may_share_the_file(hospitals):
    share(hospitals, "north", "south")
    hospitals.roles["south"] = "external"
    assert len(hospitals.take().cohort.cases) == 8


def test_without_it_the_other_sites_patients_count_as_unlabelled(hospitals):
    share(hospitals, "north", "south")
    for name in ("north", "south"):
        hospitals.shelves[name][0].patients = "all"
    excluded = hospitals.take().cohort.exclusions
    assert [one.reason for one in excluded] == ["missing_label"] * 6


def test_a_listed_patient_without_an_outcome_is_still_counted(hospitals):
    share(hospitals, "north", "south")
    del hospitals.shelves["north"][1].outcomes["north0"]
    excluded = hospitals.take().cohort.exclusions
    assert [(one.site, one.unit, one.reason) for one in excluded] == [("north", "patient", "missing_label")]


def test_a_table_too_may_hold_several_sites(hospitals):
    share(hospitals, "north", "south")
    extra = hospitals.shelves["north"][1].rows
    shelf = hospitals.shelves["south"][0]
    hospitals.shelves["south"].append(type(shelf)(modality="clinic", source=2, patients="listed"))
    hospitals.shelves["south"][2].rows = {**extra, "south0": {"age": 50.0, "er": None}}
    assert {c.patient_id[:5] for c in hospitals.take().cohort.at(["south"])} == {"south"}


def test_tables_that_name_patients_differently_are_refused(hospitals):
    share(hospitals, "north", "south")
    shelf = hospitals.shelves["south"][0]
    shelf.found = [record for record in shelf.found if record.patient_id.startswith("north")]
    with pytest.raises(DataError, match="nobody in it is among the 4 patients") as caught:
        hospitals.take()
    assert caught.value.file == "labels.csv"
