"""Every test of a move watches its portals."""

from tests.watched import nothing_is_sent_or_started_and_the_cloud_is_not_written_to

__all__ = ["nothing_is_sent_or_started_and_the_cloud_is_not_written_to"]
