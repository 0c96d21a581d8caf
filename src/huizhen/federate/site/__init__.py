"""What runs at a hospital: its folder, its key and policy, and the worker that answers the study lead."""
