"""Output for notebooks and web pages: escaped text, tables, and the drawing of a pod."""
