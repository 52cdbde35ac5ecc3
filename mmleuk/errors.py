"""The error that a user can fix: bad files, values, configs."""


class UserError(ValueError):
    """Bad input. The message says what was wrong, where (file, record), and what to do.

    Command line tools print it as one line and exit with 2; nothing has been written or trained by then.
    """
