"""Reader studies: several readers, several cases, two or more modalities (such as without and with AI).

    study = from_reads(reader=..., modality=..., case=..., truth=..., rating=...)
    found = compare(study, AUC)                          # Obuchowski-Rockette with Hillis' degrees of freedom
    found = u_statistic_difference(study, AUC, "AI", "none")    # Gallas' one-shot variance, any design

`study` holds the reads, `merit` the figures of merit, `figures` their covariances, `components` the mean
squares and covariances of Obuchowski and Rockette, `obuchowski_rockette` their tests, `u_statistics` those of
Gallas, `crossover` designs with periods, `power` sample sizes, `roe_metz` simulated readers. Apart from the
exceptions and the interval it needs numpy and scipy only.
"""
