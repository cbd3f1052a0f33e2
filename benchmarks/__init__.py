NAMES = (
    *("lifecycle", "commands", "list", "footprint", "scale", "namespaces", "stats", "names", "networks"),
    *("rootless", "user_networks", "images", "image_memory", "restarts"),
)
