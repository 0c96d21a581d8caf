"""Active learning: which unlabelled cases to have labelled next."""
