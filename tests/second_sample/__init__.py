"""A second sample of the sources, independent of `tests.sample_data`: its own names, defects and truth.

Written from the contract of the sources alone, so that the rules of identity are judged by data they were not made for.
Names are drawn by their real frequency; how a name is typed is a permutation of habits drawn at random; the truth is
known because every person, trap and title is laid on purpose. Read `cases.py` for what is laid.
"""
