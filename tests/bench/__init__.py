"""`make bench` and `make quality`: every stage measured from outside, on generated sources of a given scale."""
