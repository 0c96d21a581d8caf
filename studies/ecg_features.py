"""Features of one lead: beats, their intervals, their shape, the signal's quality, and random kernels.

Beats are found as by Pan & Tompkins, IEEE Trans Biomed Eng 32:230-236 (1985): band pass, slope, square,
moving mean, two running levels and a search back. Kernels are those of MiniRocket (Dempster, Schmidt & Webb,
KDD 2021): 84 of length 9 with weights -1 and 2, dilated; a feature is the share of the signal above a bias.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import signal as processing
from scipy import stats

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
RATE = 100
REFRACTORY_S, BEFORE_S, AFTER_S = 0.2, 0.28, 0.42
DILATIONS = (1, 2, 4, 8, 16, 32, 64, 128)
BIASES = (0.2, 0.5, 0.8)
BANDS = ((0.5, 1), (1, 3), (3, 5), (5, 8), (8, 12), (12, 16), (16, 22), (22, 30), (30, 40), (40, 49))


def features_of(samples: Floats) -> Floats:
    """Return the features of one recording in millivolts at 100 Hz, whatever its length; NaN where absent."""
    signal = samples - np.median(samples)
    band = _filtered(signal, (5, 15))
    beats = find_beats(signal)
    found = [*interval_features(np.diff(beats) / RATE, len(signal) / RATE)]
    found += [*shape_features(signal, band, beats), *quality_features(signal, band, beats)]
    return np.array([*found, *spectral_features(signal), *residual_features(signal, beats)], dtype=np.float64)


def find_beats(samples: Floats) -> Ints:
    """Return where the R peaks are: Pan and Tompkins, with a search back for beats that were missed."""
    band = _filtered(samples, (5, 15))
    energy = np.convolve(np.gradient(band) ** 2, np.ones(15) / 15, "same")
    peaks, _ = processing.find_peaks(energy, distance=int(REFRACTORY_S * RATE))
    if len(peaks) < 3:
        return np.zeros(0, dtype=np.int64)
    height = energy[peaks]
    level, noise = float(np.quantile(height, 0.8)), float(np.median(height) * 0.3)
    kept: list[int] = []
    for place, (at, tall) in enumerate(zip(peaks, height, strict=True)):
        limit = noise + 0.25 * (level - noise)
        if tall > limit:
            kept.append(place)
            level = 0.875 * level + 0.125 * min(tall, 2 * level)
        else:
            noise = 0.875 * noise + 0.125 * tall
        if len(kept) > 8:
            usual = float(np.median(np.diff(peaks[kept[-9:]])))
            if at - peaks[kept[-1]] > 1.66 * usual:
                missed = [k for k in range(kept[-1] + 1, place + 1) if height[k] > 0.5 * limit]
                if missed:
                    kept.append(max(missed, key=lambda k: height[k]))
    return np.unique([_peak_near(band, int(peaks[k])) for k in sorted(set(kept))]).astype(np.int64)


def _peak_near(band: Floats, at: int, reach: int = 8) -> int:
    start = max(0, at - reach)
    return start + int(np.abs(band[start : at + reach + 1]).argmax())


def _filtered(samples: Floats, band: tuple[float, float]) -> Floats:
    sos = processing.butter(3, band, "band", fs=RATE, output="sos")
    return np.asarray(processing.sosfiltfilt(sos, samples))


def interval_features(rr: Floats, seconds: float) -> Iterator[float]:
    """Yield 26 features of the intervals between beats in seconds; NaN with fewer than four."""
    if len(rr) < 4:
        yield from [np.nan] * 25
        yield len(rr) / seconds
        return
    step, mean, median = np.diff(rr), rr.mean(), np.median(rr)
    share = np.histogram(rr / median, bins=12, range=(0.4, 1.6))[0] / len(rr)
    held = share[share > 0]
    spread = float(np.sqrt((step**2).mean()))
    plus = rr[1:] + rr[:-1]
    early = (rr[:-1] < 0.85 * median) & (rr[1:] > 1.08 * median)
    yield from (mean, median, rr.std(), spread, rr.std() / mean, spread / mean)
    yield from (np.mean(np.abs(step) > 0.05), np.mean(np.abs(step) > 0.1), np.median(np.abs(step)) / mean)
    yield from (-(held * np.log(held)).sum(), np.mean(step[1:] * step[:-1] < 0))
    yield np.corrcoef(rr[1:], rr[:-1])[0, 1] if min(rr[1:].std(), rr[:-1].std()) > 1e-9 else 0.0
    yield from (rr.min(), rr.max(), rr.min() / median, rr.max() / median)
    yield from (*np.quantile(rr / median, [0.1, 0.25, 0.75, 0.9]), step.std() / (plus.std() + 1e-6))
    yield from (early.mean(), float(early.sum()), np.log(spread / mean + 1e-3), _entropy(rr / median))
    yield len(rr) / seconds


def _entropy(series: Floats, length: int = 1, reach: float = 0.06) -> float:
    """Return the sample entropy of a short series (Lake & Moorman, 2011: length 1 for few beats)."""
    near = np.abs(series[:, None] - series[None]) < reach
    np.fill_diagonal(near, False)
    longer = near[:-length, :-length] & near[length:, length:]
    return float(-np.log((longer.sum() + 1) / (near[:-length, :-length].sum() + 2)))


def shape_features(samples: Floats, band: Floats, beats: Ints) -> Iterator[float]:
    """Yield 20 features of the beats' form: how alike they are, P wave, width, and size."""
    before, after = int(BEFORE_S * RATE), int(AFTER_S * RATE)
    inside = beats[(beats >= before) & (beats < len(samples) - after)]
    if len(inside) < 4:
        yield from [np.nan] * 20
        return
    smooth = _filtered(samples, (0.7, 40))
    cut = smooth[inside[:, None] + np.arange(-before, after)]  # (beats, samples)
    cut = cut - np.median(cut, axis=1, keepdims=True)
    usual = np.median(cut, axis=0)
    alike = _correlations(cut, usual)
    yield from (alike.mean(), alike.min(), alike.std(), *np.quantile(alike, [0.1, 0.5]), np.mean(alike < 0.8))
    narrow = slice(before - 8, before + 9)
    close = _correlations(cut[:, narrow], usual[narrow])
    yield from (close.mean(), float(np.quantile(close, 0.1)), np.mean(close < 0.8))
    tall = np.abs(band[inside])
    size = np.ptp(usual) + 1e-6
    yield from (tall.std() / tall.mean(), tall.min() / tall.mean(), np.log(size))
    pre = slice(before - 24, before - 7)  # where the P wave stands
    own = usual[pre] - np.linspace(usual[pre][0], usual[pre][-1], 17)
    waves = _correlations(cut[:, pre], usual[pre])
    yield from (own.max() / size, own.min() / size, waves.mean(), float(np.quantile(waves, 0.25)))
    yield float(cut[:, pre].std(axis=0).mean() / size)
    late = usual[before + 12 :]
    yield from (late.max() / size, late.min() / size, np.mean(np.abs(usual) > 0.5 * np.abs(usual).max()))


def _correlations(rows: Floats, other: Floats) -> Floats:
    """Return each row's correlation with one more."""
    a, b = rows - rows.mean(axis=1, keepdims=True), other - other.mean()
    return np.asarray((a @ b) / (np.sqrt((a**2).sum(axis=1) * (b**2).sum()) + 1e-9))


def quality_features(samples: Floats, band: Floats, beats: Ints) -> Iterator[float]:
    """Yield 19 features of the signal's quality: noise, flat parts, clipping, whether two detectors agree."""
    energy = np.abs(processing.hilbert(band))
    other, _ = processing.find_peaks(energy, distance=28, height=0.4 * np.quantile(energy, 0.98))
    near = (
        np.abs(beats[:, None] - other[None]).min(axis=1) <= 10 if len(beats) and len(other) else np.zeros(1)
    )
    yield from (near.mean(), len(other) / (len(beats) + 1))
    parts = [samples[i : i + 200] for i in range(0, len(samples) - 199, 100)]
    sd = np.array([part.std() for part in parts])
    peaked = np.array([stats.kurtosis(part) if part.std() > 1e-9 else 0.0 for part in parts])
    yield from (
        np.log(sd.max() + 1e-4),
        np.log(sd.min() + 1e-4),
        np.log(sd.max() + 1e-4) - np.log(sd.min() + 1e-4),
    )
    yield from (np.log(np.median(sd) + 1e-4), peaked.min(), float(np.median(peaked)), peaked.max())
    rough = np.abs(np.diff(samples))
    yield from (np.mean(rough < 1e-3), np.log(rough.mean() + 1e-5), float(np.quantile(rough, 0.99)))
    top = np.abs(samples).max()
    yield from (np.mean(np.abs(samples) > 0.98 * top), np.log(top + 1e-4), stats.skew(samples))
    yield from (stats.kurtosis(samples), np.mean(samples[1:] * samples[:-1] < 0), float(len(samples)))
    step = np.array([processing.welch(part, RATE, nperseg=200)[1][20:].sum() for part in parts])
    yield float(np.log((step.max() + 1e-9) / (np.median(step) + 1e-9)))


def spectral_features(samples: Floats) -> Iterator[float]:
    """Yield the power in ten bands, its entropy and two ratios."""
    at, power = processing.welch(samples, RATE, nperseg=min(512, len(samples)))
    total = power[(at > 0.5) & (at < 49)].sum() + 1e-12
    for low, high in BANDS:
        yield float(np.log(power[(at >= low) & (at < high)].sum() / total + 1e-6))
    share = power / (power.sum() + 1e-15)
    yield float(-(share * np.log(share + 1e-15)).sum())
    yield float(np.log((power[at < 1].sum() + 1e-12) / total))
    yield float(power[(at >= 5) & (at < 15)].sum() / (power[(at >= 5) & (at < 40)].sum() + 1e-12))


def residual_features(samples: Floats, beats: Ints) -> Iterator[float]:
    """Yield 6 features of what is left without the usual beat: fibrillatory waves lie at 4 to 9 Hz."""
    before, after = int(BEFORE_S * RATE), int(AFTER_S * RATE)
    inside = beats[(beats >= before) & (beats < len(samples) - after)]
    if len(inside) < 4:
        yield from [np.nan] * 6
        return
    rest = _filtered(samples, (1, 40))
    cut = rest[inside[:, None] + np.arange(-before, after)]
    usual = np.median(cut, axis=0)
    for at in inside:
        piece = rest[at - before : at + after]
        gain = float(piece @ usual / (usual @ usual + 1e-9))
        rest[at - before : at + after] = piece - np.clip(gain, 0.3, 2) * usual
    at, power = processing.welch(rest, RATE, nperseg=min(512, len(rest)))
    held = (at >= 3) & (at < 12)
    share = power[held] / (power[held].sum() + 1e-12)
    total = power[(at >= 1) & (at < 40)].sum() + 1e-12
    yield from (np.log(rest.std() + 1e-4), np.log(rest.std() / (np.abs(usual).max() + 1e-4) + 1e-4))
    yield float(power[(at >= 4) & (at < 9)].sum() / total)
    yield from (-(share * np.log(share + 1e-12)).sum(), at[held][share.argmax()], share.max())


def kernel_features(signals: Floats, valid: Ints, *, rows: int = 128) -> NDArray[np.float32]:
    """Return the kernels' features (n, 84 · dilations · biases) of standardised signals (n, samples).

    The biases are quantiles of what the kernel gives on a few signals, no labels; what is beyond a signal's
    `valid` samples counts for nothing.
    """
    import torch

    weights = np.full((84, 9), -1.0, np.float32)
    for k, three in enumerate(itertools.combinations(range(9), 3)):
        weights[k, list(three)] = 2
    kernel = torch.from_numpy(weights)[:, None]
    given = torch.from_numpy(signals.astype(np.float32))[:, None]
    there = torch.arange(signals.shape[1])[None] < torch.from_numpy(valid)[:, None]
    sample = torch.arange(0, len(signals), max(1, len(signals) // 64))
    found: list[NDArray[np.float32]] = []
    for dilation in DILATIONS:
        reach = 4 * dilation
        shown = torch.nn.functional.conv1d(given[sample], kernel, padding=reach, dilation=dilation)
        flat = shown.permute(1, 0, 2)[:, there[sample]]  # (84, held samples)
        limits = torch.quantile(flat[:, ::7], torch.tensor(BIASES), dim=1)  # (biases, 84)
        parts: list[NDArray[np.float32]] = []
        for start in range(0, len(given), rows):
            some = slice(start, start + rows)
            shown = torch.nn.functional.conv1d(given[some], kernel, padding=reach, dilation=dilation)
            held = there[some][:, None]
            above = [((shown > limit[:, None]) & held).sum(-1) / held.sum(-1) for limit in limits]
            parts.append(torch.cat(above, dim=1).numpy())
        found.append(np.concatenate(parts))
    return np.concatenate(found, axis=1)


def standardised(samples: Floats, valid: Ints) -> Floats:
    """Return signals (n, samples) with baseline and scale taken out, and zeros beyond what is valid."""
    sos = processing.butter(2, (0.5, 45), "band", fs=RATE, output="sos")
    found = np.zeros_like(samples)
    for k, n in enumerate(valid):
        smooth = processing.sosfiltfilt(sos, samples[k, :n])
        found[k, :n] = np.clip((smooth - np.median(smooth)) / (np.std(smooth) + 1e-6), -8, 8)
    return found
