"""`publish explain`: the whole story of one company, person or order, out of the views of schema analysis."""
