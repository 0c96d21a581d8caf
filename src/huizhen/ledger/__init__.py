"""The ledger: an append-only Merkle log with signed heads, its proofs, and its verification without torch.

`merkle` holds the tree, `signing` the keys, `records` what a line of the log is, `log` the one writer,
`reading` the verification that anybody can run.
"""
