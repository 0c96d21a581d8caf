"""Which labels are likely wrong, how many, what a second reading says: suspects for people, no verdicts."""
