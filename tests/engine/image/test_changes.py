"""Changes to a config, written as in a Dockerfile, and configs as images have them."""

import json

import pytest
from stackr_engine.image.changes import changed
from stackr_engine.image.imageconfig import (
    ConfigDocument,
    RunDocument,
    chain_ids,
    image_config,
    run_document,
)
from stackr_schemas.container import Healthcheck
from stackr_schemas.errors import StackrError
from stackr_schemas.image import ImageConfig


def test_instructions_change_the_config() -> None:
    config = changed(
        ImageConfig(env=("A=old", "B=b")),
        [
            'CMD ["/bin/tool", "-v"]',
            "entrypoint exec /start $A",
            'ENV A=new C="d e"',
            "ENV OLD form of it",
            "EXPOSE 80 53/udp",
            "LABEL x=y",
            "STOPSIGNAL SIGQUIT",
            "USER 1000:1000",
            'VOLUME ["/data"]',
            "WORKDIR /srv",
        ],
    )
    assert config == ImageConfig(
        cmd=("/bin/tool", "-v"),
        entrypoint=("/bin/sh", "-c", "exec /start $A"),
        env=("A=new", "B=b", "C=d e", "OLD=form of it"),
        exposed_ports=("53/udp", "80/tcp"),
        labels={"x": "y"},
        stop_signal="SIGQUIT",
        user="1000:1000",
        volumes=("/data",),
        working_dir="/srv",
    )


@pytest.mark.parametrize("change", ["RUN x", "CMD [1]", "CMD [", "ENV", "ENV A=b C", 'LABEL "x'])
def test_what_is_not_supported_is_refused(change: str) -> None:
    with pytest.raises(StackrError, match="--change"):
        changed(ImageConfig(), [change])


def test_a_config_is_the_same_after_writing_and_reading() -> None:
    config = ImageConfig(
        user="x",
        env=("A=b",),
        entrypoint=("e",),
        cmd=("c",),
        volumes=("/v",),
        working_dir="/w",
        labels={"l": "m"},
        stop_signal="SIGINT",
        exposed_ports=("1/tcp",),
        healthcheck=Healthcheck(test=("CMD", "true"), retries=7),
    )
    text = json.dumps(run_document(config))
    assert image_config(RunDocument.model_validate_json(text)) == config


def test_null_means_nothing_and_zero_means_the_default() -> None:
    text = '{"Cmd": null, "Env": null, "Labels": null, "Healthcheck": {"Test": ["CMD", "x"]}}'
    config = image_config(RunDocument.model_validate_json(text))
    assert config == ImageConfig(healthcheck=Healthcheck(test=("CMD", "x")))


@pytest.mark.parametrize("created", ["", "yesterday", "0001-01-01T00:00:00Z"])
def test_an_image_may_not_say_when_it_was_made(created: str) -> None:
    assert ConfigDocument(created=created).created_at <= 0


def test_chain_ids_are_those_of_the_specification() -> None:
    assert chain_ids(("sha256:a", "sha256:b")) == [
        "sha256:a",
        "sha256:970a948bffa8de94d6e22d747ba8c95030e6e546909f98f54e99a13005e173a8",
    ]
