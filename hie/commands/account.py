"""`hie account`: accounts of people, from the command line; the first administrators are made here."""

from typing import Annotated, Final

import typer

from hie.core.access import Role

EXAMPLES: Final = "Examples: hie account · hie account wang.wei --role system-administrator"


def run(
    name: Annotated[
        str | None, typer.Argument(help="Name of a new account; without it all are listed")
    ] = None,
    role: Annotated[list[Role] | None, typer.Option(help="A role of it; several times for several")] = None,
    display_name: Annotated[str, typer.Option(help="The name that pages show")] = "",
    practitioner: Annotated[str, typer.Option(help="Id of the Practitioner that the person works as")] = "",
    organization: Annotated[str, typer.Option(help="Id of the Organization that the person works for")] = "",
    department: Annotated[
        str, typer.Option(help="Id of the Organization that is the person's department")
    ] = "",
    patient: Annotated[str, typer.Option(help="Id of the Patient that the person is")] = "",
) -> None:
    """Add an account, whose password is asked for; or list all accounts.

    The three administrators (system-administrator, security-officer, auditor) are three people.
    """
    from hie import wiring
    from hie.core.settings import Settings
    from hie.identity import accounts

    with wiring.build(Settings()) as exchange, exchange.database.transaction() as transaction:
        if name is None:
            for each in accounts.list_accounts(transaction):
                state = " (disabled)" if each.account.is_disabled else ""
                typer.echo(f"{each.account.name}{state}\t{' '.join(sorted(each.roles))}")
            return
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        person = accounts.add_account(
            transaction,
            name,
            roles=role or (),
            password=password,
            rule=exchange.identity.password_rule,
            now=exchange.clock.now(),
            display_name=display_name,
            links=accounts.Links(patient, practitioner, organization, department),
        )
        added = person.account.name
    typer.echo(f"added {added}")
