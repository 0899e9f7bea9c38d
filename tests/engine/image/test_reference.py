"""Image names as Docker Hub completes them."""

import pytest
from stackr_engine.image.reference import id_prefix, parse_reference
from stackr_schemas.errors import StackrError

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.25-alpine", "docker.io/library/nginx:1.25-alpine"),
        ("team/app", "docker.io/team/app:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/team/app:1", "docker.io/team/app:1"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app:2", "localhost:5000/app:2"),
        ("registry:5000/a/b/c", "registry:5000/a/b/c:latest"),
        ("ghcr.io/owner/app", "ghcr.io/owner/app:latest"),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
        (f"nginx@{DIGEST}", f"docker.io/library/nginx@{DIGEST}"),
        (f"nginx:1@{DIGEST}", f"docker.io/library/nginx:1@{DIGEST}"),
        ("a__b/c-d.e", "docker.io/a__b/c-d.e:latest"),
    ],
)
def test_a_name_is_completed(text: str, full: str) -> None:
    assert str(parse_reference(text)) == full


@pytest.mark.parametrize(
    "text",
    [
        *("Nginx", "a//b", "a:b:c/d:", "nginx:", "nginx:ta g", "a/../b", "", "-a", "a/b_"),
        *("../x:1", "b" * 64, "x/" * 130 + "y", " nginx", "a:" + "x" * 129),
        *("a@sha256:1", "nginx@md5:1"),
    ],
)
def test_what_cannot_be_a_name_is_refused(text: str) -> None:
    with pytest.raises(StackrError, match="is not an image name"):
        parse_reference(text)


@pytest.mark.parametrize(
    ("text", "familiar"),
    [
        ("nginx", "nginx:latest"),
        ("team/app:1", "team/app:1"),
        ("ghcr.io/a/b", "ghcr.io/a/b:latest"),
    ],
)
def test_a_name_is_said_as_people_write_it(text: str, familiar: str) -> None:
    assert parse_reference(text).familiar == familiar


def test_the_start_of_an_id_is_known() -> None:
    assert id_prefix("sha256:abc") == "abc"
    assert id_prefix("0f3") == "0f3"
    assert id_prefix("nginx") == ""
    assert id_prefix("0f3" * 30) == ""
