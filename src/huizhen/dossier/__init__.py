"""The dossier: one folder of pages, numbers and files, rendered from ledger entries only and re-checked.

`build.build_dossier` writes it, `verification.verify_dossier` re-hashes and re-renders it. `content` decides
what is said (`sections`, `figures`), `page` and `machine` how it is written (HTML, JSON). Nothing here
imports torch, matplotlib or a model: a regulator verifies without them.
"""
