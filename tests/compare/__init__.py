"""Old and new code over the same raw warehouse: `python -m tests.compare --against 4a54d20 --scale 0.2`."""
