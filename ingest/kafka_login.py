"""Logging in to Kafka: the settings in the client's words, and connections that tell of a refusal at once."""

import ssl
from typing import Any

from kafka.errors import AuthorizationError, SaslAuthenticationFailedError
from kafka.net.manager import KafkaConnectionManager

from ingest.sources import KafkaLogin
from ingest.warehouse.errors import OperatorError

REFUSALS = (AuthorizationError, SaslAuthenticationFailedError)


def client_options(login: KafkaLogin) -> dict[str, Any]:
    """How to log in, in the client's words. Raises OperatorError when a file is missing, or no key or certificate."""
    options: dict[str, Any] = {"security_protocol": login.security_protocol}
    if login.has_password:
        options |= {
            "sasl_mechanism": login.sasl_mechanism,
            "sasl_plain_username": login.user or "",
            "sasl_plain_password": login.password.get_secret_value() if login.password else "",
        }
    files = {"CA_FILE": login.ca_file, "CERTIFICATE_FILE": login.certificate_file, "KEY_FILE": login.key_file}
    for variable, path in files.items():
        if path and not path.is_file():
            raise OperatorError(f"there is no file {path}", hint=f"check SVOD_KAFKA_{variable}")
    if "SSL" in login.security_protocol:
        options["ssl_context"] = tls_context(login)
    if login.api_version:
        options["api_version"] = tuple(int(number) for number in login.api_version.split("."))
    return options


def tls_context(login: KafkaLogin) -> ssl.SSLContext:
    """Whom to trust, and who the client is. Raises SSLError or OSError for files that are not what they should be."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if login.ca_file:
        context.load_verify_locations(login.ca_file)
    else:
        context.load_default_certs()
    if login.certificate_file:
        password = login.key_password.get_secret_value() if login.key_password else ""
        context.load_cert_chain(login.certificate_file, login.key_file, lambda: password)  # else it asks the terminal
    return context


class Connections(KafkaConnectionManager):  # type: ignore[misc]  # the client has no types
    """The client's connections, which tell a refused login at once: it would try again until its time is up."""

    refusal: Exception | None = None

    async def _build_transport(self, *args: Any, **options: Any) -> Any:
        """A connected socket that hands over what came before its end: the client throws away what one read brings
        together with the end, and a broker says why it refuses a login just before it hangs up."""
        transport = await super()._build_transport(*args, **options)
        receive = transport._sock_recv

        def receive_all() -> tuple[bytes, Exception | None]:
            data, error = receive()
            return data, None if data else error  # the next read comes to the end again

        transport._sock_recv = receive_all
        return transport

    def get_connection(self, node_id: Any, *args: Any, **options: Any) -> Any:
        """A connection to a broker, made or found. Raises SaslAuthenticationFailedError after the first refusal."""
        if self.refusal:
            raise self.refusal
        connection = super().get_connection(node_id, *args, **options)
        connection.init_future.add_errback(self._remember)
        return connection

    def _remember(self, error: Exception) -> None:
        if isinstance(error, REFUSALS):
            self.refusal = error
