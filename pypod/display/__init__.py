"""What a notebook or a page shows: text made safe, tables, and the drawing of a pod."""
