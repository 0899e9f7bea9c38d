"""`stackr up` and `stackr create`."""

from contextlib import nullcontext
from typing import Any, Literal

import click
from stackr_schemas.errors import StackrError

from stackr.bring_up import BringUp, Pulling
from stackr.conditions import await_up
from stackr.invocation import Invocation
from stackr.options import duration_option, scale_option
from stackr.plan import Options
from stackr.watch.beside import watching
from stackr.watch.declared import rules_for


@click.command()
@click.argument("services", nargs=-1)
@click.option(
    "-d", "--detach", is_flag=True, help="Leave the containers running in the background."
)
@click.option("--no-deps", is_flag=True, help="Leave alone what the services depend on.")
@click.option("--force-recreate", is_flag=True, help="Recreate containers that did not change.")
@click.option("--no-recreate", is_flag=True, help="Keep containers that changed as they are.")
@click.option("--no-start", is_flag=True, help="Create the containers, do not start them.")
@click.option("--remove-orphans", is_flag=True, help="Remove containers of undeclared services.")
@click.option(
    "--pull",
    type=click.Choice(["always", "missing", "never"]),
    help="Pull images so, whatever the services say.",
)
@click.option("--quiet-pull", is_flag=True, help="Pull without showing progress.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@scale_option
@duration_option("-t", "--timeout", help="Seconds that a container may take to stop.")
@click.option("--wait", is_flag=True, help="Wait until all run and are healthy; implies -d.")
@duration_option("--wait-timeout", help="Seconds that --wait may take.")
@click.option("--abort-on-container-exit", is_flag=True, help="Stop all when one container ends.")
@click.option("--exit-code-from", help="Return this service's exit status; implies the above.")
@click.option("--no-attach", multiple=True, help="Do not show this service's output.")
@click.option("--attach", "attached", multiple=True, help="Show only this service's output.")
@click.option("--timestamps", is_flag=True, help="Show when each line was written.")
@click.option("-w", "--watch", is_flag=True, help="Bring files in as they are saved.")
@click.option("--no-color", is_flag=True, help="Do not colour names.")
@click.option("--no-log-prefix", is_flag=True, help="Do not show names before lines.")
@click.pass_obj
def up(invocation: Invocation, /, services: tuple[str, ...], **given: Any) -> int:
    """Bring the stack up: create what is missing, recreate what changed, start what is stopped."""
    if given["detach"] and (given["abort_on_container_exit"] or given["exit_code_from"]):
        raise StackrError("--abort-on-container-exit and --exit-code-from exclude --detach")
    if given["watch"] and (given["detach"] or given["wait"] or given["no_start"]):
        raise StackrError("--watch excludes --detach, --wait and --no-start")
    bring_up = BringUp(
        invocation,
        services,
        options=Options(
            recreate=_recreate(given),
            start=not given["no_start"],
            remove_orphans=given["remove_orphans"],
        ),
        with_dependencies=not given["no_deps"],
        scale=given["scale"],
        grace=given["timeout"],
        pulling=Pulling(given["pull"] or "", not given["dry_run"], given["quiet_pull"]),
    )
    if given["dry_run"]:
        invocation.stdout.write(f"{bring_up.plan() or 'nothing to do'}\n")
        return 0
    if given["watch"]:
        rules_for(bring_up.project)  # what is wrong with them is said before anything is done
    since = bring_up.run()
    if given["wait"]:
        await_up(
            invocation.engine, bring_up.desired, given["wait_timeout"], invocation.session.check
        )
    if given["detach"] or given["wait"] or given["no_start"]:
        return 0
    from stackr.attach import AttachOptions, attach

    with watching(invocation, bring_up.project) if given["watch"] else nullcontext():
        return attach(invocation, bring_up.desired, since, AttachOptions.of(given))


@click.command()
@click.argument("services", nargs=-1)
@click.option("--force-recreate", is_flag=True, help="Recreate containers that did not change.")
@click.option("--no-recreate", is_flag=True, help="Keep containers that changed as they are.")
@click.option("--remove-orphans", is_flag=True, help="Remove containers of undeclared services.")
@scale_option
@click.pass_obj
def create(invocation: Invocation, /, services: tuple[str, ...], **given: Any) -> None:
    """Create the containers of the services without starting them."""
    options = Options(
        recreate=_recreate(given), start=False, remove_orphans=given["remove_orphans"]
    )
    BringUp(invocation, services, options=options, scale=given["scale"]).run()


def _recreate(given: dict[str, Any]) -> Literal["diverged", "force", "never"]:
    if given["force_recreate"] and given["no_recreate"]:
        raise StackrError("--force-recreate and --no-recreate exclude each other")
    if given["force_recreate"]:
        return "force"
    return "never" if given["no_recreate"] else "diverged"
