"""callboard runs LAVA MultiNode job definitions as an actor system."""
