"""The error that a user can fix: bad files, values, configs."""


class UserError(ValueError):
    """Bad input. The message says what is wrong, where (file, record), and what to do.

    Commands print it as one line and exit with 2. Nothing has been written or trained at this point.
    """
