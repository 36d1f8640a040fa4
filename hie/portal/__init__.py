"""Pages for people: one base layout, Chinese first, English complete."""
