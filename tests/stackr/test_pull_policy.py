"""When an image is pulled, decided from values."""

import pytest

from stackr.pull_policy import Have, Pull, Wish, is_pullable, pulls_for, refresh_age

NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("policy", "checked", "is_pulled"),
    [
        ("", None, False),
        ("missing", None, False),
        ("if_not_present", None, False),
        ("never", None, False),
        ("always", NOW, True),
        ("daily", None, True),
        ("daily", NOW - 86399, False),
        ("daily", NOW - 86401, True),
        ("weekly", NOW - 86401, False),
        ("every_1h30m", NOW - 5399, False),
        ("every_1h30m", NOW - 5401, True),
    ],
)
def test_what_is_in_the_store_is_pulled_by_policy(
    policy: str, checked: float | None, is_pulled: bool
) -> None:
    found = pulls_for({"a": Wish("x", policy)}, lambda name: Have("linux/amd64", checked), NOW)
    assert bool(found) == is_pulled


@pytest.mark.parametrize("policy", ["", "missing", "if_not_present", "always", "daily"])
def test_what_is_missing_is_pulled_and_needed(policy: str) -> None:
    found = pulls_for({"a": Wish("x", policy)}, lambda name: None, NOW)
    assert found == {"a": Pull("x", "", is_needed=True)}


def test_never_means_never() -> None:
    assert pulls_for({"a": Wish("x", "never")}, lambda name: None, NOW) == {}


def test_a_shared_image_is_pulled_once() -> None:
    wishes = {"a": Wish("x", ""), "b": Wish("x", ""), "c": Wish("y", "")}
    assert list(pulls_for(wishes, lambda name: None, NOW)) == ["a", "c"]


def test_another_platform_is_another_image() -> None:
    def arm(name: str) -> Have:
        return Have("linux/arm64/v8", None)

    assert not pulls_for({"a": Wish("x", "", "linux/arm64")}, arm, NOW)
    assert pulls_for({"a": Wish("x", "", "linux/amd64")}, arm, NOW)


def test_what_no_registry_has_is_never_pulled() -> None:
    for name in ("", "rootfs:/", "oci:./x", f"sha256:{'a' * 64}"):
        assert not is_pullable(name)
    assert is_pullable("nginx")


def test_ages_are_read() -> None:
    assert refresh_age("every_1w2d") == 9 * 86400
    assert refresh_age("missing") is None
