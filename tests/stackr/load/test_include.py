from tests.stackr.load.memory import load, problems


def test_included_files_keep_their_folder_and_their_variables() -> None:
    texts = {
        "compose.yaml": "include: [sub/compose.yaml]\nservices: {web: {image: '${TAG-none}'}}",
        "sub/compose.yaml": "services: {db: {image: 'db:${TAG}', volumes: ['./d:/d'], "
        "environment: [TAG]}}",
        "sub/.env": "TAG=7",
    }
    project = load(texts)
    db = project.services["db"]
    assert db.image == "db:7" and db.volumes[0].source == "/stack/sub/d"
    assert db.environment == {"TAG": "7"} and project.services["web"].image == "none"


def test_the_shell_has_precedence_over_an_included_env_file() -> None:
    texts = {
        "compose.yaml": "include: [{path: sub/a.yaml, env_file: [x.env]}]\nservices: {}",
        "sub/a.yaml": "services: {db: {image: '${TAG}${MORE}'}}",
        "x.env": "TAG=file\nMORE=more",
        ".env": "OTHER=1",
    }
    assert load(texts, environment={"TAG": "shell"}).services["db"].image == "shellmore"


def test_several_paths_merge_and_a_project_directory_moves_them() -> None:
    texts = {
        "compose.yaml": "include: [{path: [a.yaml, b.yaml], project_directory: other}]",
        "a.yaml": "services: {db: {image: a, volumes: ['./d:/d']}}",
        "b.yaml": "services: {db: {image: b}}",
    }
    db = load(texts).services["db"]
    assert db.image == "b" and db.volumes[0].source == "/stack/other/d"


def test_includes_nest() -> None:
    texts = {
        "compose.yaml": "include: [a/compose.yaml]",
        "a/compose.yaml": "include: [b/compose.yaml]\nservices: {a: {image: a, build: .}}",
        "a/b/compose.yaml": "services: {b: {image: b, build: .}}\nvolumes: {vo: }",
    }
    project = load(texts)
    assert project.services["b"].build.context == "/stack/a/b" and "vo" in project.volumes


def test_a_resource_is_included_unchanged_or_refused() -> None:
    texts = {
        "compose.yaml": "include: [a.yaml]\nservices: {db: {image: a}}",
        "a.yaml": "services: {db: {image: a}}",
    }
    assert load(texts).services["db"].image == "a"
    texts["a.yaml"] = "services: {db: {image: b}}"
    assert problems(texts)[0].startswith(
        "compose.yaml:2:12: services.db: conflicts with an included one; to change that"
    )


def test_a_cycle_and_a_missing_file_are_told_at_the_entry() -> None:
    texts = {
        "compose.yaml": "include:\n  - a.yaml\n  - none.yaml\n",
        "a.yaml": "include: [compose.yaml]",
    }
    assert problems(texts) == [
        "a.yaml:1:11: include: include cycle: compose.yaml includes a.yaml includes compose.yaml",
        "compose.yaml:3:5: include: cannot read /stack/none.yaml: no such file",
    ]


def test_problems_in_an_included_file_name_that_file() -> None:
    texts = {"compose.yaml": "include: [a.yaml]", "a.yaml": "services: {db: {image: a, usr: b}}"}
    assert problems(texts) == ["a.yaml:1:27: services.db.usr: unknown key; did you mean user?"]


def test_values_of_included_secrets_come_from_their_own_variables() -> None:
    texts = {
        "compose.yaml": "include: [s/a.yaml]\nsecrets: {t: {environment: T}}",
        "s/a.yaml": "services: {db: {image: a, secrets: [k]}}\nsecrets: {k: {environment: K}}",
        "s/.env": "K=inner",
        ".env": "T=outer",
    }
    assert load(texts).values == {"secrets.k": "inner", "secrets.t": "outer"}
