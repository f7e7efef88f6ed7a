"""Peers as sources: TCP, Unix sockets, datagrams."""
