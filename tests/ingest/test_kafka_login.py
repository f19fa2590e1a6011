"""Logging in to a real broker: SCRAM and PLAIN over TLS, client certificates, and what each refusal says."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from ingest.kafka_topic import Topic
from ingest.sources import KafkaLogin, KafkaSource
from ingest.warehouse.errors import OperatorError
from tests.servers import KAFKA_LOGIN, Kafka, kafka_server

USER, PASSWORD = KAFKA_LOGIN


def write_pem(path: Path, certificate: trustme.LeafCert) -> None:
    """Key (PKCS #8, as brokers want it) and certificates in one file, and apart beside it."""
    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), None).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    path.write_bytes(key + chain)
    path.with_suffix(".key").write_bytes(key)
    path.with_suffix(".crt").write_bytes(chain)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    write_pem(folder / "broker.pem", authority.issue_cert("localhost"))
    write_pem(folder / "client.pem", authority.issue_cert("svod.example"))
    write_pem(folder / "stranger.pem", trustme.CA().issue_cert("svod.example"))
    trustme.CA().cert_pem.write_to_path(str(folder / "other-ca.pem"))
    return folder


@pytest.fixture(scope="module")
def broker(tls: Path) -> Iterator[Kafka]:
    with kafka_server(tls) as server:
        yield server


@pytest.fixture(scope="module")
def topic(broker: Kafka) -> Iterator[str]:
    with broker.topic(partitions=1) as name:
        producer = broker.producer()
        producer.send(name, json.dumps({"company": {"uid": "b-1"}}).encode(), b"b-1").get(10)
        producer.close()
        yield name


def read(address: str, topic: str, **login: object) -> int:
    """The number of messages that a login gets to."""
    consumer = Topic(
        KafkaSource("shop_b", _env_file=None, kafka=address, kafka_topic=topic), KafkaLogin(_env_file=None, **login)
    )
    try:
        assert consumer.topic_id
        return sum(len(batch.messages) for batch in consumer.batches({}))
    finally:
        consumer.close()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_password_over_tls_reads(broker, topic, tls, mechanism):
    login = {"security_protocol": "SASL_SSL", "sasl_mechanism": mechanism, "user": USER, "password": PASSWORD}
    assert read(broker.sasl, topic, **login, ca_file=tls / "ca.pem") == 1


def test_a_client_certificate_reads(broker, topic, tls):
    files = {"certificate_file": tls / "client.crt", "key_file": tls / "client.key", "ca_file": tls / "ca.pem"}
    assert read(broker.ssl, topic, security_protocol="SSL", **files) == 1


def test_a_key_with_a_password_reads(broker, topic, tls):
    key = serialization.load_pem_private_key((tls / "client.key").read_bytes(), None).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"s3cret")
    )
    (tls / "locked.key").write_bytes(key)
    files = {"certificate_file": tls / "client.crt", "key_file": tls / "locked.key", "ca_file": tls / "ca.pem"}
    assert read(broker.ssl, topic, security_protocol="SSL", **files, key_password="s3cret") == 1
    with pytest.raises(OperatorError, match="no logging in with these settings") as caught:
        read(broker.ssl, topic, security_protocol="SSL", **files, key_password="wr0ng")
    assert "wr0ng" not in caught.value.problem + caught.value.hint


def test_a_wrong_password_is_refused_in_one_line_without_it(broker, topic, tls, monkeypatch):
    monkeypatch.setattr("ingest.kafka_topic.BOOTSTRAP_S", 5.0)
    login = {"security_protocol": "SASL_SSL", "user": USER, "password": "wr0ng", "ca_file": tls / "ca.pem"}
    with pytest.raises(OperatorError, match="refuses the login") as caught:
        read(broker.sasl, topic, **login)
    said = caught.value.problem + caught.value.hint
    assert "SVOD_KAFKA_PASSWORD" in said and "wr0ng" not in said and "\n" not in said


@pytest.mark.parametrize(
    ("client", "authority"), [("stranger", "ca"), (None, "ca"), ("client", "other-ca")], ids=lambda name: str(name)
)
def test_a_certificate_that_nobody_vouches_for_is_refused(broker, topic, tls, monkeypatch, client, authority):
    monkeypatch.setattr("ingest.kafka_topic.BOOTSTRAP_S", 3.0)
    own = {"certificate_file": tls / f"{client}.crt", "key_file": tls / f"{client}.key"} if client else {}
    with pytest.raises(OperatorError, match="does not answer") as caught:
        read(broker.ssl, topic, security_protocol="SSL", ca_file=tls / f"{authority}.pem", **own)
    assert "SVOD_KAFKA_CERTIFICATE_FILE" in caught.value.hint


def test_a_certificate_for_another_host_is_refused(broker, topic, tls, monkeypatch):
    monkeypatch.setattr("ingest.kafka_topic.BOOTSTRAP_S", 3.0)
    login = {"security_protocol": "SASL_SSL", "user": USER, "password": PASSWORD, "ca_file": tls / "ca.pem"}
    with pytest.raises(OperatorError, match="does not answer"):
        read(broker.sasl.replace("localhost", "127.0.0.1"), topic, **login)


@pytest.mark.parametrize("field", ["ca_file", "certificate_file", "key_file"])
def test_a_file_that_is_not_there_is_named_with_its_setting(tmp_path, field):
    with pytest.raises(OperatorError, match=r"there is no file .*no\.pem") as caught:
        read("127.0.0.1:1", "t", **{field: tmp_path / "no.pem"})
    assert f"SVOD_KAFKA_{field.upper()}" in caught.value.hint
