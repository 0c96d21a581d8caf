"""The FAS hybrid: sums come out right, the lead can't place what it sees, and its limits are as stated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError, MessageError
from huizhen.privacy.fas import FasPlan, add_fas, open_fas, protect
from huizhen.privacy.homomorphic import CkksKeys, make_keys
from huizhen.privacy.sensitivity import largest_elements, layer_sensitivity, most_sensitive_layers

LENGTH = 4000
KEY = bytes(range(32))


@pytest.fixture(scope="module")
def keys() -> CkksKeys:
    """One site's keys."""
    return make_keys()


def update(number: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return stream(number, "update").normal(0, 0.01, LENGTH).astype(np.float32)


def plan(noise_scale: float = 0.0, round_number: int = 0) -> FasPlan:
    places = largest_elements(update(99), share=0.1)
    return FasPlan(
        length=LENGTH,
        encrypted=places,
        noise_scale=noise_scale,
        sites=3,
        study="s" * 64,
        round_number=round_number,
    )


def test_without_noise_the_sum_is_the_plain_one(keys: CkksKeys) -> None:
    updates = [update(n) for n in range(3)]
    messages = [protect(plan(), keys, KEY, u, np.random.default_rng()) for u in updates]
    total = open_fas(plan(), keys, KEY, add_fas(plan(), keys.public, messages))
    np.testing.assert_allclose(total, np.sum(updates, axis=0), atol=1e-7)


def test_noise_goes_to_what_is_not_encrypted_only(keys: CkksKeys) -> None:
    noisy = plan(noise_scale=0.05)
    messages = [protect(noisy, keys, KEY, update(n), stream(n, "noise")) for n in range(3)]
    error = open_fas(noisy, keys, KEY, add_fas(noisy, keys.public, messages)) - sum(map(update, range(3)))
    assert np.abs(error[noisy.encrypted]).max() < 1e-6
    assert error[noisy.open_places()].std() == pytest.approx(0.05 * np.sqrt(3), rel=0.05)


def test_scrambling_hides_places_and_signs_and_keeps_the_absolute_values(keys: CkksKeys) -> None:
    u = update(1)
    seen = protect(plan(), keys, KEY, u, np.random.default_rng()).scrambled
    free = u[plan().open_places()]
    assert abs(np.corrcoef(seen, free)[0, 1]) < 5 / np.sqrt(len(free))
    assert abs(np.corrcoef(abs(seen), abs(free))[0, 1]) < 5 / np.sqrt(len(free))
    np.testing.assert_array_equal(np.sort(abs(seen)), np.sort(abs(free)))  # the limit that is stated
    other = protect(plan(round_number=1), keys, KEY, u, np.random.default_rng()).scrambled
    assert abs(np.corrcoef(seen, other)[0, 1]) < 5 / np.sqrt(len(free))


def test_another_key_or_round_does_not_unscramble(keys: CkksKeys) -> None:
    message = protect(plan(), keys, KEY, update(1), np.random.default_rng())
    for wrong_plan, key in ((plan(), bytes(32)), (plan(round_number=1), KEY)):
        opened = open_fas(wrong_plan, keys, key, message)[plan().open_places()]
        assert abs(np.corrcoef(opened, update(1)[plan().open_places()])[0, 1]) < 0.1


def test_messages_and_plans_that_are_refused(keys: CkksKeys) -> None:
    good = protect(plan(), keys, KEY, update(1), np.random.default_rng())
    for scrambled in (good.scrambled[:-1], good.scrambled.astype(float), good.scrambled * np.float32(np.nan)):
        with pytest.raises(MessageError):
            add_fas(plan(), keys.public, [good, replace(good, scrambled=scrambled)])
    with pytest.raises(MessageError):
        add_fas(replace(plan(), encrypted=np.array([1])), keys.public, [good])
    with pytest.raises(MessageError, match="another length"):
        open_fas(plan(), keys, KEY, replace(good, scrambled=good.scrambled[:-1]))
    for bad in (np.array([3, 1]), np.array([-1, 2]), np.array([LENGTH]), np.array([], int), np.array([1, 1])):
        with pytest.raises(InvalidInputError, match="not ascending"):
            replace(plan(), encrypted=bad)
    for noise in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidInputError, match="noise is negative"):
            plan(noise_scale=noise)
    with pytest.raises(InvalidInputError, match="not finite"):
        protect(plan(), keys, KEY, update(1) * np.float32(np.nan), np.random.default_rng())
    with pytest.raises(InvalidInputError, match="32 bytes"):
        protect(plan(), keys, b"short", update(1), np.random.default_rng())


def test_layers_are_chosen_by_gradient_per_parameter() -> None:
    gradients = {"stem": np.full((2, 3), 0.5), "head": np.full(4, 2.0), "block": np.full(90, 0.1)}
    sensitivity = layer_sensitivity(gradients)
    assert sensitivity == pytest.approx({"stem": 0.5, "head": 2.0, "block": 0.1})
    sizes = {name: gradient.size for name, gradient in gradients.items()}
    assert most_sensitive_layers(sensitivity, sizes, share=0.1) == ("head", "stem")
    assert most_sensitive_layers(sensitivity, sizes, share=0.01) == ("head",)
    assert most_sensitive_layers(sensitivity, sizes, share=1.0) == ("head", "stem", "block")


def test_sensitivities_that_are_refused() -> None:
    for bad in (np.array([]), np.array([np.nan])):
        with pytest.raises(InvalidInputError):
            layer_sensitivity({"a": bad})
        with pytest.raises(InvalidInputError):
            largest_elements(bad, share=0.5)
    for share in (0.0, 1.5):
        with pytest.raises(InvalidInputError):
            most_sensitive_layers({"a": 1.0}, {"a": 1}, share=share)
        with pytest.raises(InvalidInputError):
            largest_elements(np.ones(3), share=share)
