"""What the host must have."""

from stackr_engine.host import kernel_problem

GOOD = "nodev\tproc\n\text4\nnodev\toverlay\n"


def test_a_kernel_of_now_will_do() -> None:
    assert kernel_problem("6.18.44-amd64", GOOD) is None
    assert kernel_problem("5.15.0-1", GOOD) is None


def test_an_old_kernel_is_named_with_what_is_needed() -> None:
    problem = kernel_problem("5.4.0-90-generic", GOOD)
    assert problem is not None
    assert "5.4.0-90-generic is too old: stackr needs 5.15" in problem[0]


def test_a_kernel_without_overlayfs_is_told_how_to_get_it() -> None:
    problem = kernel_problem("6.1.0", "ext4\n")
    assert problem == ("this kernel has no overlayfs", "load it with `modprobe overlay`")
