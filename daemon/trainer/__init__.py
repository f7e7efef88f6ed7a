"""Where trainings run: in this process, or in a niced worker process that may hang, die or be killed."""
