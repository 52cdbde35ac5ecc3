"""Images in, cells out, without torch: what all inferencers share, and the one that runs exported models."""
