"""The REST client of a Bitrix24 portal, for whoever reads one or publishes to one: transport, limits, errors."""
