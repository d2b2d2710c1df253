"""Where do events live, and who may touch them? Publishing, inspecting, services and grants, and all of Redis."""
