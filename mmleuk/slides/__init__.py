"""Large images at constant memory: read window by window, predict, and merge what neighbouring windows both saw.

Nothing here knows the model: :func:`mmleuk.slides.scan.scan` takes a callable that turns arrays into predictions.
"""
