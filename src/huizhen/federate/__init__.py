"""Training and statistics over hospitals: rounds, messages that may cross a boundary, engines."""
