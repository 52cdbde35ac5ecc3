"""Other people's annotation tools, both ways and with attributes: CVAT, Label Studio, QuPath, labelme, tables.

Each format has a module with ``read`` and ``write``; all of them go through :class:`mmleuk.exchange.labels.Labels`.
"""
