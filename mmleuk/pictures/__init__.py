"""Pictures for people: predictions and training samples drawn with boxes, labels and attribute cards."""
