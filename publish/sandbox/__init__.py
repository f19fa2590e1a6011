"""A stand-in for Bitrix24's REST API, as strict as its documentation: for tests, for the demo, for trying things out.

The state is one SQLite file, so that one run can follow another. Behaviour comes from the public reference
(github.com/bitrix24/b24restdocs); where that is silent, the stand-in does what hurts a careless client most.
"""

from publish.sandbox.app import create_app
from publish.sandbox.faults import Faults
from publish.sandbox.limits import Clock, Limits
from publish.sandbox.server import RunningSandbox, serve
from publish.sandbox.view import Portal

__all__ = ["Clock", "Faults", "Limits", "Portal", "RunningSandbox", "create_app", "serve"]
