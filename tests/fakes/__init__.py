"""A make-believe world for the core: unit files from texts, a kernel that carries effects out, and a clock."""
