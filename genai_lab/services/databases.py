"""What an error of the database means to whoever meets it."""

import sqlite3

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

ERROR: type[Exception] = DBAPIError
# By words of SQLite's messages.
_SQLITE = {
    "full": "The disk of the lab is full, so this was not saved; free some space and try again.",
    "readonly": "The database of the lab can only be read, so this was not saved; look at who may write its file.",
    "locked": "The database of the lab is busy; try again in a moment.",
    "unable to open": "The database of the lab cannot be opened at the moment; look at its file and its folder.",
    "disk i/o": "The disk of the lab does not work as it should; the log has the details.",
}
UNREACHABLE = "The database of the lab cannot be reached at the moment; try again."


def reason(problem: Exception) -> str:
    """The driver's own words, for the log."""
    return (str(getattr(problem, "orig", None) or problem).splitlines() or [""])[0][:300]


def sentence(problem: Exception) -> str | None:
    """One sentence for a database that is full, locked, only read or gone; None for any other error."""
    if not isinstance(problem, OperationalError | InterfaceError | DBAPIError):
        return None
    message = reason(problem).lower()
    if isinstance(problem.orig, sqlite3.Error):
        return next((explanation for part, explanation in _SQLITE.items() if part in message), None)
    if "no space" in message:
        return _SQLITE["full"]
    gone = isinstance(problem, OperationalError | InterfaceError) or problem.connection_invalidated
    return UNREACHABLE if gone else None
