"""`make soak`: rotation, rude peers, kill -9, SIGSTOP and a full disk; nothing may be lost or doubled."""
