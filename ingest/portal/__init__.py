"""A Bitrix24 portal as a source: read whole, in snapshots, of which only what changed is landed."""
