"""Files, images, configs, tables and the command line. Every package may use these modules; they use no package."""
