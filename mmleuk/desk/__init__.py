"""Pages for people, served locally: review a film of a bank, or try the model on an image.

The pages are HTML and plain JavaScript in ``static/``. The server gives them data, and checks everything that comes
back; needs the extra ``mmleuk[desk]``.
"""
