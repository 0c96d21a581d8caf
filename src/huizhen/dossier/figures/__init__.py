"""Figures as inline SVG, drawn from an evidence's detail: curves, calibration, intervals, training."""
