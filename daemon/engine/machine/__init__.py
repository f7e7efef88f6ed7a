"""The state machine itself: streams, schedule, arrivals, episodes, silence. `engine.Engine` is its face."""
