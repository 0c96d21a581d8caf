"""Triage simulation: what reading policies with and without AI would find, recall and cost on the same exams.

    levels = fix_levels(calibration_scores)                     # frozen before any test outcome is opened
    exams = Exams(outcome=..., level=levels.of(scores), top=levels.in_top(scores), reads=reads)
    found = compare_policies(exams, [DoubleReading(), AITriage()])

`levels` holds the risk levels, `reads` what each reader would say of each exam, `panel` simulated readers,
`policies` who reads what, `cells` and `comparison` the measures with intervals over patients,
`noninferiority` the tests of detection, `worklist` how long an exam waits, `expected` what all of it comes to
on average, without a draw, and `published` readers that fit a trial's totals. Pure functions of arrays.
"""
