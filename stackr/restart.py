"""Whether and when an ended container is started again."""

from stackr_schemas.state import ContainerState

FIRST_DELAY = 0.1
LONGEST_DELAY = 60.0
STEADY_AFTER = 10.0
"""Seconds of running after which earlier failures no longer count, as in Docker Engine."""


def restart_delay(state: ContainerState) -> float | None:
    """Return the seconds to wait before the next start, or None if it stays down.

    The delay doubles with each restart in a row, from 0.1 s up to a minute. What the user
    stopped is never restarted.
    """
    if state.wanted != "running" or not _policy_wants(state):
        return None
    if state.finished - state.started > STEADY_AFTER:
        return FIRST_DELAY
    return float(min(FIRST_DELAY * 2 ** min(state.restart_count, 16), LONGEST_DELAY))


def _policy_wants(state: ContainerState) -> bool:
    policy = state.spec.restart
    match policy.name:
        case "no":
            return False
        case "always" | "unless-stopped":
            return True
        case "on-failure":
            attempts_left = not policy.max_attempts or state.restart_count < policy.max_attempts
            return state.exit_code != 0 and attempts_left
