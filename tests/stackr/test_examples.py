"""Every example is one that stackr and a reader can use; scenarios run them."""

import json
from pathlib import Path

import pytest
from stackr_schemas.compose.project import Project

from stackr.load import LoadOptions, load_project

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(folder.name for folder in EXAMPLES.iterdir() if folder.is_dir())


def project_of(name: str) -> Project:
    return load_project(LoadOptions(cwd=str(EXAMPLES / name)))


@pytest.mark.parametrize("name", NAMES)
def test_an_example_loads_without_a_warning(name: str) -> None:
    project = project_of(name)
    assert project.name == name
    assert project.warnings == ()


@pytest.mark.parametrize("name", NAMES)
def test_an_example_needs_no_image_and_only_its_own_folder(name: str) -> None:
    for service in project_of(name).services.values():
        assert service.image == "rootfs:/"
        for mount in service.volumes:
            if mount.type == "bind":
                assert mount.source == str(EXAMPLES / name / "app")
                assert mount.read_only


@pytest.mark.parametrize("name", NAMES)
def test_a_readme_says_how_to_start_it_and_the_top_readme_names_it(name: str) -> None:
    text = (EXAMPLES / name / "README.md").read_text()
    assert f"stackr -f examples/{name}/stack.yaml up" in text
    assert name in (EXAMPLES.parent / "README.md").read_text()


def test_every_program_of_an_example_is_run_or_imported() -> None:
    for name in NAMES:
        commands = json.dumps(
            [
                [s.command, s.healthcheck and s.healthcheck.test]
                for s in project_of(name).services.values()
            ]
        )
        for program in (EXAMPLES / name / "app").glob("*.py"):
            assert program.name in commands
