"""The label audit: from out-of-sample probabilities and readings to suspects, a second reading, evidence."""
