"""All that is Bitrix24 but its client: its parts as data, and how a plan is sent to it.

Imports run one way: kinds, parts, reference, run, recovery; then adoption, links, creates,
updates and merge, which know nothing of each other but that creates takes the links of a new card; push on top.
"""
