import pytest

from stackr.load import LoadError, refuse_unserved
from stackr.load.unserved import TABLE
from tests.stackr.load.memory import load

EVERYTHING_SERVED = """
services:
  web:
    image: a
    command: x
    env_file: []
    environment: {A: 1}
    ports: ["80:80", "127.0.0.1:81:81/udp"]
    volumes: ["./a:/a:ro", "vo:/v", {type: tmpfs, target: /t, tmpfs: {size: 1m}}]
    networks: {n: {aliases: [x], ipv4_address: 10.0.0.9}}
    depends_on: {db: {condition: service_healthy}}
    healthcheck: {test: ok}
    restart: always
    deploy: {replicas: 2, resources: {limits: {cpus: 1, memory: 1g}}}
    logging: {driver: json-file, options: {max-size: 1m, max-file: 3}}
    security_opt: [no-new-privileges:true, seccomp=unconfined]
    secrets: [s]
    configs: [c]
    x-any: {thing: 1}
  db: {image: a, network_mode: none}
networks: {n: {driver: bridge, internal: true, ipam: {config: [{subnet: 10.0.0.0/24}]}}}
volumes: {vo: {driver: local, labels: [a=b]}}
secrets: {s: {environment: S}}
configs: {c: {content: x}}
"""


def refused(text: str) -> list[str]:
    with pytest.raises(LoadError) as caught:
        refuse_unserved(load(text))
    return [str(problem) for problem in caught.value.problems]


def test_what_a_usual_stack_has_is_served() -> None:
    refuse_unserved(load(EVERYTHING_SERVED))


def test_all_that_is_not_served_is_refused_by_name_and_place() -> None:
    text = """services:
  web:
    image: a
    pid: host
    attach: false
    logging: {driver: syslog}
    volumes: [{type: npipe, source: a, target: /a}]
    networks: {n: {link_local_ips: [1.1.1.1]}}
networks: {n: {driver: macvlan}}
"""
    assert refused(text) == [
        "compose.yaml:4:5: services.web.pid: is not supported yet; remove it",
        "compose.yaml:5:5: services.web.attach: is not supported yet; remove it",
        "compose.yaml:6:15: services.web.logging.driver: is not supported yet; it can be "
        "json-file or none",
        "compose.yaml:7:16: services.web.volumes[0].type: is not supported yet; it can be bind, "
        "volume or tmpfs",
        "compose.yaml:8:20: services.web.networks.n.link_local_ips: is not supported yet; remove "
        "it",
        "compose.yaml:9:16: networks.n.driver: is not supported yet; it can be bridge",
    ]


def test_what_no_enabled_service_uses_is_not_refused() -> None:
    services = "services: {web: {image: a}, d: {image: b, pid: host, profiles: [x]}}"
    text = f"{services}\nvolumes: {{vo: {{driver: nfs}}}}"
    refuse_unserved(load(text))


def test_the_table_names_keys_that_exist() -> None:
    from stackr.load.validate import known_keys

    for row in TABLE:
        *above, last = row.pattern.split(".")
        keys = known_keys(tuple(above))
        assert last in keys or last == "*" or not keys, row.pattern
