"""What goes around a daemon: rules, a dashboard and configurations, packaged and written where an operator wants them.

`daemon/kit/files/` is their one source: the wheel has it, the tests of tests/deploy hold it, and
deploy/compose/compose.yaml mounts it. What can be made of the code (the sample, the schema, a configuration for each
source and sink) is made of it.
"""
