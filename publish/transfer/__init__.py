"""The second job: what a company's cloud portal has, into the portal on its own server."""
