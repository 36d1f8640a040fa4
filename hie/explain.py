"""Says in one sentence what went wrong at the command line, where that is the operator's to mend."""

from hie.core.errors import ExchangeError


def explain(error: Exception) -> str | None:
    """Return what to mend: a setting, a file, the database; None for a fault of ours."""
    if isinstance(error, ExchangeError):
        return error.message
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    # imported here: a command that meets no such error does not load them
    from psycopg import OperationalError
    from pydantic import ValidationError
    from sqlalchemy.exc import OperationalError as SQLAlchemyOperationalError

    if isinstance(error, ValidationError) and error.title == "Settings":
        # What concerns several settings together names them itself.
        return "; ".join(
            (f"HIE_{'_'.join(str(step) for step in finding['loc']).upper()}: " if finding["loc"] else "")
            + finding["msg"].removeprefix("Value error, ")
            for finding in error.errors()
            if finding["type"] != "default_factory_not_called"  # a consequence of the others
        )
    if isinstance(error, SQLAlchemyOperationalError | OperationalError):
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        return f"The database of HIE_DATABASE_URL does not answer: {reason}"
    return None
