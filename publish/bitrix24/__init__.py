"""All that is Bitrix24: its parts as data, its client and limits, and how a plan is sent to it.

Imports run one way: pacing, client, kinds, parts, reference, run, recovery, then adoption, creates, updates, links and
merge, and push on top.
"""
