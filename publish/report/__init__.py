"""`publish report`: one page for the director, the steward of the data and the operator, out of marts.report_*."""
