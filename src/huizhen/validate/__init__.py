"""Clinical validation: discrimination, proportions, calibration, thresholds, and the evidence made of them.

The measures (`discrimination`, `roc`, `proportions`, `calibration`, `thresholds`) are pure functions of
arrays. `assess` applies them to locked predictions and returns Evidence; each family of claims has its file
in `assessments/`.
"""
