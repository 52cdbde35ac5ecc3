"""Files, images, configs, tables and the command line: what every package may use, and what uses none of them."""
